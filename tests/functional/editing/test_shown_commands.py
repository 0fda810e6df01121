"""Commands that are shown to be pasted: a shell reads them as they are meant, whatever the files are called."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from support.project import Project

ODD = "it's (2) $x"
"""A name that a shell would take apart."""


def shown(text: str, verb: str) -> list[str]:
    """Return the words of the last command of a verb in what was printed, as a shell has them."""
    found = re.findall(rf"recipe ({verb} .*)", text)
    return shlex.split(found[-1].partition(", then")[0].partition(" && ")[0])


@pytest.fixture
def odd(project: Project, pico: Path) -> Path:
    """A recipe with an odd name, in a folder with one, below the current folder."""
    folder = project.folder / f"{ODD} folder"
    shutil.copytree(pico, folder / "base")
    shutil.move(project.folder / "rows.csv", folder / "rows.csv")
    return project.recipe.rename(folder / f"{ODD}.yaml")


def test_a_stopped_run_shows_what_continues_it(project: Project, odd: Path) -> None:
    outcome = project.run("run", str(odd), "--until", "data", "--quiet")

    words = shown(outcome.out, "run")
    assert project.run(*words, "--until", "data").code == 0, words


def test_a_failed_run_shows_what_goes_on(project: Project, odd: Path) -> None:
    (odd.parent / "rows.csv").write_text("text,label\nx,other\n", encoding="utf-8")

    outcome = project.run("run", str(odd), "--quiet")

    assert [Path(word).name for word in shown(outcome.out, "run")] == ["run", odd.name]


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("compile", ()),
        ("run", ("--frozen",)),
        ("challenge", ("--base-model", "owner/name@" + "0" * 40)),
    ],
)
def test_a_refusal_shows_what_helps_from_where_it_was_called(
    project: Project, odd: Path, verb: str, words: tuple[str, ...]
) -> None:
    text = odd.read_text("utf-8")
    for size, share in (("60", "0.5"), ("20", "0.2"), ("40", "0.3")):
        text = text.replace(f": {size}\n", f": {share}\n")
    odd.write_text(text, encoding="utf-8")

    outcome = project.run(verb, str(odd), *words)

    assert Path(shown(outcome.err, "run")[1]).absolute() == odd, outcome.err


def test_a_draft_shows_what_looks_at_it(project: Project, odd: Path) -> None:
    rows = odd.parent / "rows.csv"

    outcome = project.run("init", str(rows), "-o", str(odd.parent / f"{ODD} draft.yaml"))

    assert project.run(*shown(outcome.out, "validate")).code == 0, outcome.out


@pytest.mark.thorough
def test_an_export_shows_what_checks_it(finished: Project, home: Path) -> None:
    del home

    outcome = finished.run("export", "bundle", "-o", f"{ODD}.tar")

    assert finished.run(*shown(outcome.out, "verify")).code == 0, outcome.out
