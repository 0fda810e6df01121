"""What was not compared is reported as unknown: the first line of `recipe ci` is green only for what was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.recipe_pairs import CASES
from support.review_team import (
    HARMLESS,
    LOWER,
    RECIPE,
    Step,
    Team,
    deleted,
    in_a_submodule,
    linked,
    patterned,
    pointed_to,
    rebase,
    team_in,
)

pytestmark = pytest.mark.thorough


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    found = team_in(tmp_path)
    monkeypatch.chdir(found.folder)
    return found


YELLOW = "🟡"


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

    assert (first[0], code) == (YELLOW, 1)
    assert grafted == (first, code)


def test_a_recipe_that_is_gone_may_be_excused_by_the_one_in_its_place(team: Team) -> None:
    talk = (CASES / "base" / "talk.yaml").read_text("utf-8")
    waiver = (
        "waivers:\n  - {what: W120, why: Nobody asks for tickets any more; talk answers them.}\n"
    )
    deleted(team)
    team.git.write({"recipes/talk.yaml": talk + waiver})

    line, code = team.gate()

    assert (line[0], code) == (YELLOW, 0)


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


def test_rows_that_a_recipe_cannot_use_are_unknown_and_the_reason_is_named(
    team: Team,
) -> None:
    team.git.edit(RECIPE, "labels: [billing, bug, how_to]", "labels: [billing, bug]")

    found = team.found("--from", "main")[RECIPE]["diff"]["gate"]["findings"]

    why = "its rows cannot be divided: 94 rows have a label that is not one of the task's"
    assert why in " ".join(one["says"] for one in found)
