"""Further steps of a team: parents, and locks that branches change."""

from __future__ import annotations

from dataclasses import replace

from engine.data_view.view import seal_lock
from engine.lock.file import Wear, lock_path, read_lock, write_lock
from support.recipe_pairs import write_case_lock
from support.review_team import LOWER, RECIPE, Team, sound_lock

LOCK = "recipes/tickets.lock.json"


def by_a_parent(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace("name: tickets\n", "")
    text = text.replace("path: tickets.csv", "path: ../recipes/tickets.csv")
    child = "recipe: v1\nextends: ../shared/parent.yaml\nname: tickets\n"
    team.git.write({"shared/parent.yaml": text, RECIPE: child})


def lowered_in_the_parent(team: Team) -> None:
    team.git.edit("shared/parent.yaml", *LOWER)


def parent_deleted(team: Team) -> None:
    team.git.run("rm", "--quiet", "shared/parent.yaml")


def accepted(team: Team) -> None:
    write_case_lock(team.folder / RECIPE, "accepted")


def edited_record(team: Team) -> None:
    write_case_lock(team.folder / RECIPE, "edited")


def looks(team: Team, count: int) -> None:
    path = lock_path(team.folder / RECIPE)
    lock = read_lock(path)
    assert lock is not None
    write_lock(path, replace(lock, holdout=Wear(looks=count, redraws=0)))


def looks_turned_back(team: Team) -> None:
    looks(team, 1)


def marks_in_the_lock(team: Team) -> None:
    path = team.folder / LOCK
    text = path.read_text("utf-8").replace(
        '"looks": 2', '<<<<<<< work\n"looks": 3\n=======\n"looks": 4\n>>>>>>> main\n"looks": 2'
    )
    path.write_text(text, encoding="utf-8")


def two_looked(team: Team) -> None:
    """Both branches used the holdout once; the merge of equal lines counts one use."""
    git = team.git
    sound_lock(team)
    git.commit()
    git.run("branch", "--force", "main")
    looks(team, 3)
    git.commit()
    git.run("checkout", "--quiet", "main")
    looks(team, 3)
    # Else the commit would be the very same one.
    git.write({"notes.txt": "x\n"})
    git.commit()
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", "main")


def both_counted(team: Team) -> None:
    two_looked(team)
    looks(team, 4)
    team.git.commit()


def acceptance_reverted(team: Team) -> None:
    """Main accepted a run; the work takes that commit back by `git revert`."""
    git = team.git
    accepted(team)
    git.commit()
    write_case_lock(team.folder / RECIPE, "again")
    looks(team, 3)
    git.commit()
    git.run("branch", "--force", "main")
    git.run("revert", "--no-edit", "HEAD")


def reverted_and_counted(team: Team) -> None:
    acceptance_reverted(team)
    looks(team, 3)
    team.git.commit()


def earlier_run(team: Team) -> None:
    write_case_lock(team.folder / RECIPE, "older")
    team.git.commit()


def sealed(team: Team) -> None:
    sound_lock(team)
    seal_lock(team.folder / RECIPE)
    team.git.write({".gitignore": "*.key\n"})


def key_gone(team: Team) -> None:
    looks(team, 3)
    (team.folder / "recipes" / "tickets.lock.key").unlink()
