"""What was not compared is told as unknown: the first line of `recipe ci` is green only for what was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.git_repository import repository
from support.recipe_pairs import CASES, write_rows
from support.review_team import (
    HARMLESS,
    LOWER,
    RECIPE,
    Step,
    Team,
    broken_lock,
    deleted,
    fewer_parts,
    flow_style,
    hardened_on_the_disk,
    harmless,
    ignored,
    in_a_submodule,
    indented,
    invalid_after,
    invalid_before,
    linked,
    linked_folder,
    linked_outside,
    linked_pattern,
    lock_gone,
    lock_is_a_pipe,
    lock_is_deep,
    lock_renamed,
    lowered_in_a_submodule,
    marked,
    more_looks,
    no_recipe,
    not_watched,
    nothing,
    other_rows_behind_the_link,
    other_submodule,
    other_suffix,
    patterned,
    pointed_elsewhere,
    pointed_to,
    rebase,
    recipe_is_a_pipe,
    recipe_outside,
    recipes_in_a_submodule,
    rewritten,
    rows_are_a_pipe,
    rows_gone,
    sound_lock,
    sparse,
    staged,
    taken_back,
    unpinned,
    waived,
)

pytestmark = pytest.mark.thorough


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Team:
    folder = tmp_path / "team"
    (folder / "recipes").mkdir(parents=True)
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    write_rows(folder / "recipes")
    git = repository(folder, {RECIPE: text.replace("      sha256: TICKETS\n", "")})
    git.run("checkout", "--quiet", "-b", "work")
    monkeypatch.chdir(folder)
    return Team(git=git, capsys=capsys)


def test_what_was_compared_is_green(team: Team) -> None:
    team.git.edit(RECIPE, *HARMLESS)

    assert team.gate() == ("## 🟢 1 recipe changed: valid, and no gate got weaker", 0)


RED, YELLOW = "🔴", "🟡"


@pytest.mark.parametrize(
    ("before", "after", "mark", "code"),
    [
        (invalid_before, invalid_after, YELLOW, 1),
        (broken_lock, sound_lock, YELLOW, 1),
        (sound_lock, broken_lock, RED, 2),
        (nothing, deleted, RED, 1),
        (nothing, rewritten, RED, 1),
        (nothing, no_recipe, RED, 1),
        (nothing, other_suffix, RED, 1),
        (nothing, flow_style, RED, 1),
        (nothing, indented, RED, 1),
        (nothing, marked, RED, 1),
        (nothing, taken_back, YELLOW, 1),
        (nothing, staged, YELLOW, 1),
        (nothing, hardened_on_the_disk, YELLOW, 1),
        (nothing, not_watched, YELLOW, 1),
        (nothing, sparse, YELLOW, 1),
        (linked, other_rows_behind_the_link, RED, 1),
        (linked_folder, other_rows_behind_the_link, RED, 1),
        (linked_pattern, other_rows_behind_the_link, RED, 1),
        (patterned, fewer_parts, RED, 1),
        (linked_outside, harmless, YELLOW, 0),
        (ignored, harmless, YELLOW, 0),
        (unpinned, harmless, YELLOW, 0),
        (in_a_submodule, harmless, YELLOW, 0),
        (in_a_submodule, other_submodule, RED, 1),
        (recipes_in_a_submodule, lowered_in_a_submodule, RED, 1),
        (recipe_outside, more_looks, YELLOW, 1),
        (sound_lock, lock_is_a_pipe, RED, 2),
        (nothing, rows_are_a_pipe, RED, 2),
        (nothing, recipe_is_a_pipe, RED, 1),
        (sound_lock, lock_is_deep, RED, 2),
        (pointed_to, pointed_elsewhere, RED, 1),
        (sound_lock, lock_gone, RED, 1),
        (sound_lock, lock_renamed, RED, 1),
        (nothing, rows_gone, RED, 2),
        (nothing, waived, YELLOW, 0),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
def test_the_first_line_is_not_green(
    team: Team, before: Step, after: Step, mark: str, code: int
) -> None:
    before(team)
    rebase(team.git)
    after(team)
    team.git.run("add", "--all") if after in (deleted, rewritten) else None

    line, ended = team.gate()

    assert (line.split()[1], ended) == (mark, code), line


@pytest.mark.parametrize("step", [pointed_to, linked, in_a_submodule, patterned])
def test_rows_that_stay_where_they_are_leave_the_gate_alone(team: Team, step: Step) -> None:
    step(team)
    rebase(team.git)
    team.git.edit(RECIPE, *HARMLESS)

    found = team.found("--from", "main")[RECIPE]

    assert found["diff"]["gate"] == {"verdict": "stays", "unwaived": 0, "findings": []}


def test_without_a_main_branch_nothing_is_compared(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)
    team.git.commit()
    team.git.run("branch", "--quiet", "-D", "main")

    outcome = team.ci("--fail-on", "weaker-gate")

    assert (outcome.code, outcome.out, "R026" in outcome.err) == (2, "", True)


def test_a_comment_that_could_not_be_made_takes_the_place_of_a_green_one(team: Team) -> None:
    Path("comment.md").write_text(
        "<!-- recipe ci -->\n\n## 🟢 1 recipe changed\n", encoding="utf-8"
    )

    team.ci("--from", "no-such", "-o", "comment.md")

    assert "## 🔴 Nothing was compared" in Path("comment.md").read_text("utf-8")


def test_histories_without_a_common_beginning_are_not_green(team: Team) -> None:
    git = team.git
    text = (team.folder / RECIPE).read_text("utf-8")
    git.run("checkout", "--quiet", "--orphan", "alone")
    git.write({RECIPE: text.replace(*HARMLESS)})
    git.commit()
    main, alone = git.run("rev-parse", "main"), git.run("rev-parse", "alone")
    first, code = team.gate()

    git.run("replace", "--graft", alone, main)
    grafted = team.gate()

    assert (first.split()[1], code) == (YELLOW, 1)
    assert grafted == (first, code)


def test_a_merge_with_two_beginnings_is_not_green(team: Team) -> None:
    git = team.git
    git.write({"a.txt": "a"})
    git.commit()
    git.run("checkout", "--quiet", "main")
    git.write({"b.txt": "b"})
    main = git.commit()
    git.run("merge", "--quiet", "--no-edit", "work")
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", main)
    git.edit(RECIPE, *HARMLESS)

    assert team.gate()[0].split()[1] == YELLOW


def test_a_shallow_clone_that_may_hide_a_later_beginning_is_not_green(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = team.git
    git.edit(RECIPE, *HARMLESS)
    git.commit()
    git.write({"later.txt": "x"})
    git.commit()
    source, clone = f"file://{git.folder}", tmp_path / "clone"
    words = ("git", "clone", "--quiet", "--depth=1", "--no-single-branch", "--branch=work")
    subprocess.run([*words, source, clone], check=True)
    monkeypatch.chdir(clone)

    line, code = team.gate("origin/main")

    assert (line.split()[1], code) == (YELLOW, 1)


def test_a_recipe_that_is_gone_may_be_excused_by_the_one_in_its_place(team: Team) -> None:
    talk = (CASES / "base" / "talk.yaml").read_text("utf-8")
    waiver = (
        "waivers:\n  - {what: W120, why: Nobody asks for tickets any more; talk answers them.}\n"
    )
    deleted(team)
    team.git.write({"recipes/talk.yaml": talk + waiver})

    line, code = team.gate()

    assert (line.split()[1], code) == (YELLOW, 0)


def test_seeds_of_three_recipes_raise_three_alarms(team: Team, root: Path) -> None:
    """In a process of its own, where what one recipe frees is soon the next one's."""
    text = (team.folder / RECIPE).read_text("utf-8")
    names = ("one", "two", "three")
    files = {
        f"recipes/{name}.yaml": text.replace("name: tickets", f"name: {name}") for name in names
    }
    team.git.write(files)
    rebase(team.git)
    for file in files:
        team.git.edit(file, "seed: 7", "seed: 8")

    words = [sys.executable, "-m", "engine", "ci", "--from", "main", "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(words, env=environment, capture_output=True, check=True)

    found = [one["diff"]["gate"]["findings"][0] for one in json.loads(done.stdout)["recipes"]]
    assert [one["code"] for one in found] == ["W201"] * len(names)
    assert all("25 of 60 new holdout rows were training rows" in one["says"] for one in found)
