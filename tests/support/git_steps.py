"""Further steps of a team, for `support.git_situations`: clones, branches, links, line ends, names, merged locks."""

from __future__ import annotations

import hashlib
import subprocess
import unicodedata
from dataclasses import replace

from engine.data_view.view import seal_lock
from engine.lock.file import Wear, lock_path, read_lock, write_lock
from support.git_repository import Git
from support.recipe_pairs import CASES, write_case_lock
from support.review_team import (
    HARMLESS,
    LOWER,
    RECIPE,
    ROWS,
    Team,
    fewer,
    other_submodule,
    pointer,
    sound_lock,
)

LOCK = "recipes/tickets.lock.json"


def lowered(team: Team) -> None:
    team.git.edit(RECIPE, *LOWER)


def lowered_and_committed(team: Team) -> None:
    lowered(team)
    team.git.commit()


def harmless_and_committed(team: Team) -> None:
    team.git.edit(RECIPE, *HARMLESS)
    team.git.commit()


def waived(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace(*LOWER)
    why = "waivers:\n  - what: W101\n    why: The old bound was a guess.\n"
    team.git.write({RECIPE: text + why})


def waived_long_ago(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8")
    team.git.write(
        {RECIPE: f"{text}waivers:\n  - what: W101\n    why: The old bound was a guess.\n"}
    )


# Clones, and where they begin.


def _clone(team: Team, *words: str, name: str = "clone") -> Git:
    place = team.folder.parent / name
    source = f"file://{team.folder}"
    subprocess.run(["git", "clone", "--quiet", *words, source, place], check=True)
    team.at = place
    return Git(folder=place)


def single_branch(team: Team) -> None:
    lowered_and_committed(team)
    _clone(team, "--single-branch", "--branch=work")
    team.since = None


def shallow_single_branch(team: Team) -> None:
    lowered_and_committed(team)
    _clone(team, "--depth=1", "--branch=work")
    team.since = None


def cloned(team: Team) -> None:
    lowered_and_committed(team)
    team.git.run("checkout", "--quiet", "main")
    _clone(team).run("checkout", "--quiet", "work")
    team.since = None


def shallow_without_the_beginning(team: Team) -> None:
    harmless_and_committed(team)
    team.git.commit()
    _clone(team, "--depth=1", "--no-single-branch", "--branch=work")
    team.since = "origin/main"


def as_a_pull_request(team: Team) -> None:
    lowered_and_committed(team)
    git = team.git
    git.run("checkout", "--quiet", "main")
    git.write({"later.txt": "x\n"})
    git.commit()
    git.run("checkout", "--quiet", "-b", "merged")
    git.run("merge", "--quiet", "--no-edit", "work")
    clone = _clone(team, "--depth=1", "--branch=merged")
    clone.run("fetch", "--quiet", "--depth=1", "origin", "main")
    team.since = "FETCH_HEAD"


def detached(team: Team) -> None:
    lowered_and_committed(team)
    team.git.run("checkout", "--quiet", "--detach")


def no_such_revision(team: Team) -> None:
    lowered(team)
    team.since = "no-such"


def base_was_rewritten(team: Team) -> None:
    harmless_and_committed(team)
    git = team.git
    git.run("checkout", "--quiet", "main")
    words = ("--quiet", "--amend", "--allow-empty", "--date=2020-01-01", "--message", "rewritten")
    git.run("commit", *words)
    git.run("checkout", "--quiet", "work")


def base_was_pushed_back(team: Team) -> None:
    """Main had a higher bound, from which the work began, and was forced back behind it."""
    git = team.git
    git.run("checkout", "--quiet", "-B", "work", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.edit(RECIPE, "macro_f1: {min: 0.70}", LOWER[0])
    git.edit(RECIPE, *HARMLESS)
    git.commit()


def orphan(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8")
    team.git.run("checkout", "--quiet", "--orphan", "alone")
    team.git.write({RECIPE: text.replace(*HARMLESS)})
    team.git.commit()


def two_beginnings(team: Team) -> None:
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


def raised_on_main(team: Team) -> None:
    """A merge that takes the work's file where main had raised the bound."""
    git = team.git
    harmless_and_committed(team)
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", "--strategy=ours", "main")


def merged_with_main(team: Team) -> None:
    git = team.git
    harmless_and_committed(team)
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.run("checkout", "--quiet", "work")
    git.run("merge", "--quiet", "--no-edit", "main")


def in_the_middle_of_a_merge(team: Team) -> None:
    git = team.git
    lowered_and_committed(team)
    git.run("checkout", "--quiet", "main")
    git.edit(RECIPE, LOWER[0], "macro_f1: {min: 0.70}")
    git.commit()
    git.run("checkout", "--quiet", "work")
    subprocess.run(
        ["git", "merge", "--quiet", "main"], cwd=git.folder, capture_output=True, check=False
    )


def in_a_worktree(team: Team) -> None:
    place = team.folder.parent / "other"
    team.git.run("worktree", "add", "--quiet", "-b", "there", str(place))
    Git(folder=place).edit(RECIPE, *LOWER)
    team.at = place


def bare(team: Team) -> None:
    lowered_and_committed(team)
    _clone(team, "--bare", "--branch=work", name="bare.git")


def no_repository(team: Team) -> None:
    team.at = team.folder.parent


def below_the_root(team: Team) -> None:
    lowered(team)
    team.at = team.folder / "recipes"


def partial(team: Team) -> None:
    """A clone that has no old files, only their names."""
    team.git.run("config", "uploadpack.allowFilter", "true")
    harmless_and_committed(team)
    _clone(team, "--filter=blob:none", "--branch=work")
    team.since = "origin/main"


# What git is configured not to see.


def rows_not_watched(team: Team) -> None:
    team.git.run("update-index", "--skip-worktree", ROWS)
    fewer(team.folder / ROWS)


def sparse_without_rows(team: Team) -> None:
    harmless_and_committed(team)
    team.git.run("sparse-checkout", "set", "recipes")


def move_rows(team: Team) -> None:
    (team.folder / "data").mkdir()
    (team.folder / ROWS).rename(team.folder / "data" / "rows.csv")
    team.git.edit(RECIPE, "path: tickets.csv", "path: ../data/rows.csv")


def no_longer_tracked(team: Team) -> None:
    team.git.write({".gitignore": "tickets.yaml\n"})
    team.git.run("rm", "--quiet", "--cached", RECIPE)


def intended(team: Team) -> None:
    text = (CASES / "base" / "talk.yaml").read_text("utf-8")
    team.git.write({"recipes/talk.yaml": text})
    team.git.run("add", "--intent-to-add", "recipes/talk.yaml")


def new_beside(team: Team) -> None:
    intended(team)
    team.git.edit(RECIPE, *HARMLESS)


def only_its_mode(team: Team) -> None:
    (team.folder / RECIPE).chmod(0o755)


def only_another_file(team: Team) -> None:
    team.git.write({"readme.md": "x\n", "compose.yaml": "services: {}\n"})


# Rows.


def pinned(team: Team) -> None:
    digest = hashlib.sha256((team.folder / ROWS).read_bytes()).hexdigest()
    team.git.edit(RECIPE, "path: tickets.csv", f"path: tickets.csv\n      sha256: {digest}")


def pinned_and_ignored(team: Team) -> None:
    pinned(team)
    team.git.write({".gitignore": "*.csv\n"})
    team.git.run("rm", "--quiet", "--cached", ROWS)


def rows_behind_the_pin(team: Team) -> None:
    """Other training rows, by a space, and the old pin."""
    path = team.folder / ROWS
    path.write_text(path.read_text("utf-8").replace(",mail\n", ", mail\n"), encoding="utf-8")


def pin_without_rows(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8")
    digest = text.partition("sha256: ")[2][:64]
    team.git.edit(RECIPE, digest, "ab" * 32)


def rows_deleted(team: Team) -> None:
    team.git.run("rm", "--quiet", ROWS)
    team.git.commit()


def too_few_rows(team: Team) -> None:
    path = team.folder / ROWS
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:50]), encoding="utf-8")


def fewer_rows(team: Team) -> None:
    fewer(team.folder / ROWS)


def second_recipe(team: Team) -> None:
    text = (team.folder / RECIPE).read_text("utf-8").replace("name: tickets", "name: desk")
    team.git.write({"recipes/desk.yaml": text})


def outside(team: Team) -> None:
    (team.folder / ROWS).rename(team.folder.parent / "rows.csv")
    team.git.edit(RECIPE, "path: tickets.csv", "path: ../../rows.csv")


def not_fetched(team: Team) -> None:
    """A submodule whose files are not here, as after a plain clone."""
    harmless_and_committed(team)
    _clone(team, "--branch=work")
    team.since = "origin/main"


def moved_and_not_fetched(team: Team) -> None:
    other_submodule(team)
    not_fetched(team)


def nested_repository(team: Team) -> None:
    inner = team.folder / "inner"
    inner.mkdir()
    (team.folder / ROWS).rename(inner / "rows.csv")
    Git(folder=inner).run("init", "--quiet")
    Git(folder=inner).commit()
    team.git.edit(RECIPE, "path: tickets.csv", "path: ../inner/rows.csv")


def other_rows_in_a_nested_repository(team: Team) -> None:
    fewer(team.folder / "inner" / "rows.csv")
    team.git.edit(RECIPE, *HARMLESS)


def kept_by_lfs(team: Team) -> None:
    """The pointer is committed, and the bytes stand where git-lfs has them."""
    content = (team.folder / ROWS).read_bytes()
    _keep(team, content)
    team.git.write({ROWS: pointer(content)})


def _keep(team: Team, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    place = team.folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(content)


def fewer_rows_by_lfs(team: Team) -> None:
    pointed = (team.folder / ROWS).read_text("utf-8")
    digest = pointed.partition("sha256:")[2][:64]
    kept = team.folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    lines = kept.read_text("utf-8").splitlines(keepends=True)
    content = "".join([lines[0], *lines[60:]]).encode()
    _keep(team, content)
    team.git.write({ROWS: pointer(content)})


# Links.


def dangling(team: Team) -> None:
    (team.folder / ROWS).unlink()
    (team.folder / ROWS).symlink_to("nowhere.csv")


def circle(team: Team) -> None:
    (team.folder / ROWS).unlink()
    (team.folder / ROWS).symlink_to("tickets.csv")


def led_elsewhere(team: Team) -> None:
    """The link leads to another file, and no file is another one."""
    data = team.folder / "data"
    lines = (data / "rows.csv").read_text("utf-8").splitlines(keepends=True)
    (data / "other.csv").write_text("".join([lines[0], *lines[60:]]), encoding="utf-8")
    (team.folder / ROWS).unlink()
    (team.folder / ROWS).symlink_to("../data/other.csv")


def recipe_by_link(team: Team) -> None:
    (team.folder / "real").mkdir()
    (team.folder / RECIPE).rename(team.folder / "real" / "tickets.txt")
    (team.folder / RECIPE).symlink_to("../real/tickets.txt")


def lowered_behind_the_link(team: Team) -> None:
    team.git.edit("real/tickets.txt", *LOWER)


# Names and line ends.


def unicode_names(team: Team) -> None:
    git = team.git
    git.run("mv", RECIPE, "recipes/zürich 票.yaml")
    git.run("mv", ROWS, "recipes/Größe.csv")
    git.edit("recipes/zürich 票.yaml", "path: tickets.csv", "path: Größe.csv")


def lowered_under_a_unicode_name(team: Team) -> None:
    team.git.edit("recipes/zürich 票.yaml", *LOWER)


def fewer_rows_under_a_unicode_name(team: Team) -> None:
    fewer(team.folder / "recipes" / "Größe.csv")


def decomposed(team: Team) -> None:
    """The file's name as macOS may write it; the recipe's text is composed."""
    team.git.run("mv", "recipes/Größe.csv", f"recipes/{unicodedata.normalize('NFD', 'Größe')}.csv")


def carriage_returns(team: Team) -> None:
    for name in (RECIPE, ROWS):
        path = team.folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def converted(team: Team) -> None:
    """As git on Windows checks files out; what it has is what it had."""
    team.git.run("config", "core.autocrlf", "true")
    carriage_returns(team)


def converted_and_lowered(team: Team) -> None:
    converted(team)
    team.git.edit(RECIPE, *LOWER)


def folder_renamed(team: Team) -> None:
    team.git.run("mv", "recipes", "desk")


def folder_renamed_and_lowered(team: Team) -> None:
    folder_renamed(team)
    team.git.edit("desk/tickets.yaml", *LOWER)


def folder_renamed_with_other_rows(team: Team) -> None:
    folder_renamed(team)
    fewer(team.folder / "desk" / "tickets.csv")


def capitals(team: Team) -> None:
    team.git.run("mv", RECIPE, "recipes/Tickets.yaml")


# Parents and locks.


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
