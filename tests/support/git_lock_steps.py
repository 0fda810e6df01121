"""Further steps of a team: parents, and locks that branches change."""

import json
from collections.abc import Callable
from typing import Any

from engine.data.membership import joined_parts, keys_of
from engine.lock.file import Wear, lock_path, read_lock, write_lock
from engine.values import replace
from support.recipe_pairs import write_case_lock
from support.review_team import LOWER, RECIPE, Step, Team, sound_lock

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


# Locks that somebody edits by hand.


def edited(change: Callable[[dict[str, Any]], object]) -> Step:
    """A step that changes the lock's JSON."""

    def step(team: Team) -> None:
        path = team.folder / LOCK
        whole = json.loads(path.read_text("utf-8"))
        change(whole)
        path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")

    return step


def _half(whole: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """The recorded holdout, and its rows in two halves."""
    part = whole["splits"]["holdout"]
    keys = sorted(keys_of(part["members"]))
    return part, joined_parts(keys[::2]), joined_parts(keys[1::2])


def half_left_out(whole: dict[str, Any]) -> None:
    part, part["members"], part["left_out"] = _half(whole)


def half_unused(whole: dict[str, Any]) -> None:
    part, kept, taken = _half(whole)
    part["members"] = kept
    whole["unused"] = joined_parts(keys_of(whole["unused"] or "") | keys_of(taken))


def places_exchanged(whole: dict[str, Any]) -> None:
    """Validation and holdout."""
    one, other = (whole["splits"][name] for name in ("validation", "holdout"))
    one["members"], other["members"] = other["members"], one["members"]


def drawn_afresh(whole: dict[str, Any]) -> None:
    """Other inputs and no record that they were held to."""
    whole["inputs"] = "11" * 32


def held_to_nothing(whole: dict[str, Any]) -> None:
    whole["drawn_with"] = None


def held_to_a_record(whole: dict[str, Any]) -> None:
    whole["drawn_with"] = "22" * 32


def other_digest(whole: dict[str, Any]) -> None:
    whole["splits"]["holdout"]["digest"] = "ab" * 32


def more_rows(whole: dict[str, Any]) -> None:
    whole["splits"]["holdout"]["rows"] += 40


def fewer_redraws(whole: dict[str, Any]) -> None:
    whole["holdout"]["redraws"] -= 1


def redrawn(whole: dict[str, Any]) -> None:
    whole["holdout"]["redraws"] += 3


def other_name(whole: dict[str, Any]) -> None:
    """Only people read it."""
    whole["recipe"] = "other"


def after_a_lock(change: Callable[[dict[str, Any]], object]) -> Step:
    """A step that writes a sound lock and changes it."""

    def step(team: Team) -> None:
        sound_lock(team)
        edited(change)(team)

    return step


def of_the_run(*path: str | int, value: Any) -> Step:
    """A step that changes one fact of the accepted run."""

    def change(whole: dict[str, Any]) -> None:
        node = whole["accepted"]
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value

    return edited(change)
