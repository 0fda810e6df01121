"""What the pages show of a finished run is what the verbs print of one, names and numbers apart."""

import re

import pytest

from support.pages import outputs
from support.project import Project

pytestmark = pytest.mark.thorough


def below(page: str, verb: str) -> list[str]:
    """The lines that a page shows below the first command with this beginning."""
    lines = next(output for words, output in outputs(f"how-to/{page}") if words.startswith(verb))
    return lines.replace("tickets", "tiny").splitlines()


def begun(lines: list[str]) -> list[str]:
    """How each line begins, up to what differs from run to run."""
    return [re.split(r" [0-9a-f]{64}| \d+ kB|: |…", line)[0] for line in lines]


def test_the_readme_of_a_store_names_all_that_a_run_leaves_there(finished: Project) -> None:
    store = finished.folder / ".recipe"
    text = (store / "README.txt").read_text("utf-8")

    left = {one.name for one in store.iterdir()} - {"README.txt", ".gitignore"}

    assert {name for name in left if name not in text} == set()


def test_a_bundle_is_made_and_verified_as_its_page_shows(finished: Project) -> None:
    made = finished.run("export", "bundle", "recipe.yaml", "-o", "tiny.bundle.tar").out.splitlines()
    key = made[1].rpartition(" ")[2]
    (model,) = finished.folder.glob(".recipe/runs/tiny/*/*.gguf")
    found = finished.run(
        "verify", "tiny.bundle.tar", "--model", str(model), "--key", key
    ).out.splitlines()
    page = below("publish-a-bundle", "recipe verify")

    assert begun([line for line in made if not line.startswith("your new key")]) == begun(
        below("publish-a-bundle", "recipe export bundle")
    )
    assert [line for line in found if line.startswith("ok")] == [
        line for line in page if line.startswith("ok")
    ]
    assert len(found) == len(page)
    assert found[-1] == page[-1]


def test_what_would_be_published_is_what_its_page_lists(finished: Project) -> None:
    page = below("publish-a-model", "recipe publish")

    found = finished.run("publish", "tiny", "--to", "hub", "--name", "team/tiny").out.splitlines()

    # without a signing key what it signs comes last
    assert sorted(line.split()[0] for line in found[:-1]) == sorted(
        line.split()[0] for line in page[:-1]
    )
    assert found[-1].endswith("; nothing was written: --yes does it")


def test_a_frozen_run_refuses_as_its_page_shows(finished: Project) -> None:
    lock = finished.folder / "recipe.lock.json"
    text = lock.read_text("utf-8")
    lock.write_text(re.sub(r'"torch": "[^"]*"', '"torch": "2.1.1"', text), encoding="utf-8")
    (page,) = below("reproduce-a-model", "recipe run tickets.yaml --frozen")
    shown = "[0-9.]+".join(map(re.escape, re.split(r"[0-9]+\.[0-9.]+", page)))

    found = finished.run("run", "recipe.yaml", "--frozen").err

    assert re.match(shown, found)
