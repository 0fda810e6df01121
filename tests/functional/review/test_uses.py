"""Uses of a holdout on several branches are added up; an acceptance is taken back without editing by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.lock.file import lock_path, read_lock
from engine.review.uses import recount_lock
from support.git_lock_steps import acceptance_reverted, accepted, looks, two_looked
from support.git_repository import repository
from support.recipe_pairs import write_case_lock
from support.review_team import RECIPE, Team, rebase, sound_lock, team_in

pytestmark = pytest.mark.thorough


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return team_in(tmp_path)


def counted(team: Team) -> int:
    lock = read_lock(lock_path(team.folder / RECIPE))
    assert lock is not None
    return lock.holdout.looks


def test_the_uses_of_merged_branches_are_added_up(team: Team) -> None:
    two_looked(team)

    done = recount_lock(team.folder / RECIPE)

    assert counted(team) == 4
    assert (
        done == "`tickets.lock.json` counts 4 uses of the holdout now, as its history does, not 3"
    )
    assert recount_lock(team.folder / RECIPE).endswith(
        "counts 4 uses of the holdout, as its history does"
    )


def test_a_further_use_after_the_merge_is_one_more(team: Team) -> None:
    two_looked(team)
    recount_lock(team.folder / RECIPE)
    team.git.commit()
    looks(team, 5)
    team.git.commit()

    recount_lock(team.folder / RECIPE)

    assert counted(team) == 5


def test_a_use_that_was_reverted_still_counts(team: Team) -> None:
    acceptance_reverted(team)

    recount_lock(team.folder / RECIPE)
    team.git.commit()

    assert counted(team) == 3
    assert team.gate() == ("🟡 1 recipe changed: the gate got weaker as waived in 1", 0)


def test_uses_in_the_middle_of_a_merge_are_those_of_both_sides(team: Team) -> None:
    git = team.git
    sound_lock(team)
    git.commit()
    git.run("branch", "--force", "main")
    looks(team, 4)
    git.commit()
    git.run("checkout", "--quiet", "main")
    looks(team, 3)
    git.commit()
    git.run("checkout", "--quiet", "work")
    with pytest.raises(subprocess.CalledProcessError):
        git.run("merge", "--quiet", "main")
    git.run("checkout", "--quiet", "--ours", "recipes/tickets.lock.json")

    recount_lock(team.folder / RECIPE)

    assert counted(team) == 5


def test_the_same_use_on_one_branch_is_counted_once(team: Team) -> None:
    sound_lock(team)
    looks(team, 3)
    team.git.commit()
    team.git.run("branch", "--force", "main")
    team.git.write({"later.txt": "x\n"})
    team.git.commit()
    team.git.run("checkout", "--quiet", "main")
    team.git.write({"other.txt": "x\n"})
    team.git.commit()
    team.git.run("merge", "--quiet", "--no-edit", "work")

    recount_lock(team.folder / RECIPE)

    assert counted(team) == 3


def test_what_no_longer_holds_after_a_resolved_conflict_is_reported(team: Team) -> None:
    git, lock = team.git, "recipes/tickets.lock.json"
    accepted(team)
    git.commit()
    git.run("branch", "--force", "main")
    write_case_lock(team.folder / RECIPE, "again")
    looks(team, 4)
    git.commit()
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, "  rank: 16", "  rank: 8")
    looks(team, 3)
    git.commit()
    git.run("checkout", "--quiet", "work")
    with pytest.raises(subprocess.CalledProcessError):
        git.run("merge", "--quiet", "main")
    git.run("checkout", "--quiet", "--ours", lock)
    git.commit()

    found = team.found("--from", "main")[RECIPE]["diff"]

    assert any(
        note.startswith("no accepted run proves the recipe as it stands") for note in found["notes"]
    )
    uses = [one for one in found["gate"]["findings"] if one["code"] == "W208"]
    assert [(one["before"], one["after"]) for one in uses] == [("5", "4")]


def test_a_lock_that_git_does_not_show_is_compared(team: Team) -> None:
    sound_lock(team)
    team.git.write({".gitattributes": "*.lock.json -diff\n"})
    rebase(team.git)
    looks(team, 1)

    assert team.gate() == ("🔴 1 recipe changed: the gate got weaker in 1", 1)


def test_without_a_lock_there_is_nothing_to_count(tmp_path: Path) -> None:
    repository(tmp_path, {"tickets.yaml": "recipe: v1\n"})

    assert recount_lock(tmp_path / "tickets.yaml").endswith("there is nothing to count")
