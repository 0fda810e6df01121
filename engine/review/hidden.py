"""Files whose committed version is not the one in the working tree, and those that git is configured not to look at.

A review compares the files as they are on the disk. Where a change was committed, or staged, and the disk says
something else, what leaves with the commit was not compared; a sparse checkout has no file to compare at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.errors import RecipeError
from engine.files.reading import read_bytes
from engine.review.listing import Moved
from engine.review.repository import Repository

COMMITTED = "what is committed is another version than the file on the disk, and was not compared"
STAGED = "what is staged is another version than the file on the disk, and was not compared"
ABSENT = "it is not checked out here, so it was not compared"
UNWATCHED = "git is configured not to look at it, and its file is not what is committed"


def hidden_files(repository: Repository, commit: str) -> Mapping[str, str]:
    """Return, by path, why a changed file of the repository is not compared as it counts."""
    head = repository.commit("HEAD")
    staged = _paths(repository.staged(commit))
    committed, since = frozenset[str](), staged
    if head != commit:
        committed = _paths(repository.moved(commit, head))
        since = _paths(repository.staged(head)) if committed else frozenset()
    # Asked last and only if needed: git has to read the files for it.
    unstaged = _paths(repository.unstaged()) if committed or staged else frozenset()
    return {
        **dict.fromkeys(sorted(staged & unstaged), STAGED),
        **dict.fromkeys(sorted(committed & (since | unstaged)), COMMITTED),
        **dict(_unwatched(repository, head, committed | staged)),
    }


def _unwatched(
    repository: Repository, head: str, changed: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for path in repository.unwatched():
        place = repository.root / path
        if not place.is_file():
            if path in changed:
                yield path, ABSENT
            continue
        try:
            is_same = read_bytes(place) == repository.content(head, path)
        except (OSError, RecipeError):
            is_same = False
        if not is_same:
            yield path, UNWATCHED


def _paths(moved: tuple[Moved, ...]) -> frozenset[str]:
    return frozenset(name for one in moved for name in (one.path, one.was) if name)
