"""`recipe ci` on a real repository: what it finds, what it says, and how it ends."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.git_repository import Git, recipe, repository
from support.project import Outcome
from support.recipe_pairs import CASES, write_case_lock, write_rows


def base(name: str, rows: str = "") -> str:
    return (CASES / "base" / f"{name}.yaml").read_text("utf-8").replace("TICKETS", rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    git: Git
    capsys: pytest.CaptureFixture[str]

    def ci(self, *words: str) -> Outcome:
        return recipe(self.capsys, "ci", *words)

    def found(self, *words: str) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.ci(*words, "--format", "json").out)
        return {one["path"]: one for one in result["recipes"]}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Place:
    folder = tmp_path / "team"
    (folder / "recipes").mkdir(parents=True)
    rows = write_rows(folder / "recipes")
    names = ("files", "orders", "answers", "talk")
    files = {f"recipes/{name}.yaml": base(name) for name in names}
    files |= {"recipes/tickets.yaml": base("tickets", rows), "other/compose.yaml": "services: {}\n"}
    git = repository(folder, files)
    git.run("checkout", "--quiet", "-b", "work")
    monkeypatch.chdir(folder)
    return Place(git=git, capsys=capsys)


LOWER = ("macro_f1: {min: 0.60}", "macro_f1: {min: 0.55}")


def test_without_a_changed_recipe_there_is_little_to_say(place: Place) -> None:
    place.git.edit("other/compose.yaml", "{}", "[]")

    outcome = place.ci("--from", "main")

    assert (outcome.code, "No recipe changed" in outcome.out) == (0, True)


def test_every_changed_recipe_is_validated_planned_and_compared(place: Place, root: Path) -> None:
    git = place.git
    git.edit("recipes/tickets.yaml", *LOWER)
    git.edit("recipes/talk.yaml", "max: 8.0", "max: 7.0")
    git.edit("recipes/files.yaml", "  kind: full", "  kind: ful")
    git.run("mv", "recipes/orders.yaml", "recipes/shop-orders.yaml")
    git.edit("recipes/shop-orders.yaml", "holdout: 0.3", "holdout: 0.2")
    git.run("rm", "--quiet", "recipes/answers.yaml")
    git.write({"recipes/quickstart.yaml": (root / "recipes/quickstart.yaml").read_text("utf-8")})
    git.commit()

    outcome = place.ci("--from", "main", "--output", "out/comment.md", "--fail-on", "weaker-gate")
    found = place.found("--from", "main")

    text = Path("out/comment.md").read_text("utf-8")
    assert outcome.code == 2
    assert outcome.out == "6 changed recipes: out/comment.md\n"
    assert {path.split("/")[1]: one["status"] for path, one in found.items()} == {
        "answers.yaml": "deleted",
        "files.yaml": "changed",
        "quickstart.yaml": "new",
        "shop-orders.yaml": "renamed",
        "talk.yaml": "changed",
        "tickets.yaml": "changed",
    }
    assert [one["diff"] and one["diff"]["gate"]["verdict"] for one in found.values()] == [
        None, None, None, "weaker", "stronger", "weaker",
    ]  # fmt: skip
    assert found["recipes/files.yaml"]["problems"][0]["code"] == "R107"
    assert text.startswith("<!-- recipe ci -->\n")
    assert "🔴 6 recipes changed, 3 compared: 1 not valid · the gate got weaker in 2" in text
    assert "recipes/files.yaml:30" in text
    assert "`recipes/shop-orders.yaml` (was `recipes/orders.yaml`)" in text
    assert "<summary>The plan</summary>" in text
    assert "120 train / 30 validation / 60 holdout" not in text


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--fail-on", "weaker-gate"), 1)])
def test_a_weaker_gate_fails_only_where_it_shall(
    place: Place, words: tuple[str, ...], code: int
) -> None:
    place.git.edit("recipes/tickets.yaml", *LOWER)

    assert place.ci("--from", "main", *words).code == code


def test_a_changed_parent_lock_or_data_file_touches_the_recipe(place: Place) -> None:
    git = place.git
    child = "recipe: v1\nextends: ../shared/parent.yaml\nname: child\n"
    parent = base("talk").replace("name: talk\n", "")
    git.write({"recipes/child.yaml": child, "shared/parent.yaml": parent})
    git.edit("recipes/tickets.yaml", "      sha256: ", "      # sha256: ")
    write_case_lock(git.folder / "recipes/tickets.yaml", "worn")
    before = git.commit()
    git.edit("shared/parent.yaml", "max: 8.0", "max: 9.0")
    git.edit("recipes/tickets.lock.json", '"looks": 7', '"looks": 0')
    first = place.found("--from", before)
    git.run("checkout", "--quiet", "--", ".")
    with (git.folder / "recipes/tickets.csv").open("a", encoding="utf-8") as file:
        file.write("a new row 4711,bug,mail\n")

    second = place.found("--from", before)

    assert {path: one["why"] for path, one in first.items()} == {
        "recipes/child.yaml": ["its parent shared/parent.yaml"],
        "recipes/tickets.yaml": ["its lock tickets.lock.json"],
    }
    assert [one["diff"]["gate"]["findings"][0]["code"] for one in first.values()] == [
        "W101",
        "W208",
    ]
    assert {path: one["why"] for path, one in second.items()} == {
        "recipes/tickets.yaml": ["recipes/tickets.csv"]
    }


def test_a_pattern_and_a_folder_name_what_is_in_them(place: Place) -> None:
    git = place.git
    parts = base("tickets", "x").replace("path: tickets.csv\n      sha256: x", "path: parts/*.csv")
    rows = (git.folder / "recipes/tickets.csv").read_text("utf-8")
    git.write(
        {"recipes/parts.yaml": parts, "recipes/parts/a.csv": rows, "recipes/base/config.json": "{}"}
    )
    git.write(
        {
            "recipes/local.yaml": base("talk")
            .replace("  hub: HuggingFaceTB/SmolLM2-360M-Instruct\n", "  path: base\n")
            .replace("  revision: 0123456789abcdef0123456789abcdef01234567\ndata", "data")
        }
    )
    before = git.commit()
    git.write(
        {
            "recipes/parts/b.csv": "text,topic,channel\nanother 1234,bug,mail\n",
            "recipes/base/config.json": '{"a": 1}',
        }
    )

    found = place.found("--from", before)

    assert {path: one["why"] for path, one in found.items()} == {
        "recipes/local.yaml": ["recipes/base/config.json"],
        "recipes/parts.yaml": ["recipes/parts/b.csv"],
    }


def test_a_recipe_that_moves_under_another_name_is_compared_with_itself(place: Place) -> None:
    git = place.git
    text = (git.folder / "recipes/tickets.yaml").read_text("utf-8").replace(*LOWER)
    lines = text.splitlines()
    git.run("rm", "--quiet", "recipes/tickets.yaml")
    noted = [f"{line}   # {number}" for number, line in enumerate(lines)]
    shuffled = "\n".join(
        line for pair in zip(noted, [""] * len(noted), strict=True) for line in pair
    )
    git.write({"recipes/desk.yaml": shuffled + "\n"})

    found = place.found("--from", "main")

    assert [(path, one["status"], one["was"]) for path, one in found.items()] == [
        ("recipes/desk.yaml", "renamed", "recipes/tickets.yaml")
    ]
    assert found["recipes/desk.yaml"]["diff"]["gate"]["verdict"] == "weaker"


def test_a_shallow_clone_without_the_revision_says_what_to_fetch(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = place.git.run("rev-parse", "main")
    place.git.edit("recipes/tickets.yaml", *LOWER)
    place.git.commit()
    clone = tmp_path / "clone"
    source = f"file://{place.git.folder}"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", "--branch=work", source, clone], check=True
    )
    monkeypatch.chdir(clone)

    missing = place.ci("--from", main)
    subprocess.run(
        ["git", "-C", clone, "fetch", "--quiet", "--depth=1", "origin", main], check=True
    )
    there = place.ci("--from", main, "--fail-on", "weaker-gate")

    assert (missing.code, "R021" in missing.err) == (2, True)
    assert f"git fetch --depth=1 origin {main}" in missing.err
    assert there.code == 1
    assert "acceptance.metrics.macro_f1.min" in there.out
    assert "does not reach where the work began" in there.out


def test_data_that_git_ignores_need_not_be_there(place: Place) -> None:
    git = place.git
    git.write({".gitignore": "data/\n"})
    git.write(
        {
            "recipes/own.yaml": base("tickets", "x")
            .replace("path: tickets.csv\n      sha256: x", "path: ../data/own.csv")
            .replace("name: tickets", "name: own")
        }
    )
    before = git.commit()
    git.edit("recipes/own.yaml", *LOWER)

    outcome = place.ci("--from", before)
    git.edit("recipes/own.yaml", "../data/own.csv", "../no-data/own.csv")
    missing = place.found("--from", before)["recipes/own.yaml"]

    assert outcome.code == 0
    assert "since git ignores it: `data/own.csv`" in outcome.out
    assert [one["code"] for one in missing["problems"]] == ["R302"]


def test_names_from_a_recipe_cannot_break_out_of_the_comment(place: Place) -> None:
    hostile = "</details><script>alert(1)</script> | @team `x` ![](http://x)"
    text = (place.git.folder / "recipes/tickets.yaml").read_text("utf-8")
    waiver = f"waivers:\n  - what: W101\n    why: {json.dumps(hostile)}\n"
    place.git.write({"recipes/tickets.yaml": text.replace(*LOWER) + waiver})

    outcome = place.ci("--from", "main")

    assert "<script>" not in outcome.out
    assert "@team" not in outcome.out
    assert "</details>" not in outcome.out.replace("\n\n</details>\n", "")


SERVED = "  - model: {name: served, endpoint: https://rows.example/v1, model: m, api_key_env: THEIR_KEY}\n"


def test_what_a_recipe_newly_reaches_stands_above_all_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A user who allows nothing outside of a project.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place.git.folder.parent / "config"))
    git = place.git
    git.edit("recipes/tickets.yaml", *LOWER)
    git.edit(
        "recipes/answers.yaml",
        "acceptance:\n",
        f"allow_moving: true\nbaselines:\n{SERVED}acceptance:\n",
    )
    git.commit()

    text, found = place.ci("--from", "main").out, place.found("--from", "main")

    sends = ["send $THEIR_KEY to rows.example", "send rows to rows.example"]
    assert found["recipes/answers.yaml"]["reaches"] == sends
    assert found["recipes/tickets.yaml"]["reaches"] == []
    assert "1 newly reaches outside the project" in text.splitlines()[2]
    assert text.index(sends[0]) < text.index(sends[1]) < text.index("| recipe | what happened")

    git.edit("recipes/answers.yaml", "min: 0.50", "min: 0.60")
    git.commit()
    assert place.found("--from", "HEAD~1")["recipes/answers.yaml"]["reaches"] == []
