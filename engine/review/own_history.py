"""Whether the history that git reads for a folder is that folder's own, before git reads it.

A folder that was unpacked from an archive can hold a `.git` that leads to another repository of its user: a file or a
link, `commondir`, alternates, links among its objects and refs. What is shown of that repository, such as in the
comment of a pull request, would tell its content. Git follows all of them.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import RecipeError
from engine.files.reading import read_text
from engine.trust.access import entries_below
from engine.trust.allowed import projects

_MOST_BYTES: Final = 1 << 20
_SETTINGS: Final = frozenset({".git/config", ".git/config.worktree"})
"""Read by each call of git, of which a review makes many."""
_PASSED_OVER: Final = frozenset({"hooks", "lfs", "modules", "worktrees"})
"""Of the top of a git folder: what a review does not read, or what belongs to other folders."""
_WORKTREE: Final = re.compile(r"^\s*worktree\s*=\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)


def top_of(folder: Path) -> Path | None:
    """Return the folder that holds `.git`; None where a bare repository, or none, is met first."""
    for one in (folder, *folder.parents):
        if os.path.lexists(one / ".git"):
            return one
        if (one / "HEAD").is_file() and (one / "objects").is_dir() and (one / "refs").is_dir():
            return None
    return None


def require_own_history(top: Path) -> Path:
    """Return the folder with the objects of the repository in `top`.

    RecipeError R024 where its `.git` leads to a history that neither lies there nor says that it is its own. What lies
    below one of the user's own `projects`, as the folder does, is theirs.
    """
    real = Path(os.path.realpath(top))
    roots = [one for one in projects() if real.is_relative_to(one)]
    leading: list[tuple[str, Path]] = []
    try:
        marker = place = real / ".git"
        if not marker.is_dir():
            place = real / _line(marker).removeprefix("gitdir:").strip()
        place = Path(os.path.realpath(place))
        common = _common_folder(place)
        if not place.is_relative_to(real) and not _points_back(place, real):
            leading.append((".git", place))
        for folder in dict.fromkeys((place, common)):
            leading += _leading_out(folder)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _refused(real, f"cannot be read: {why.lower()}") from error
    for name, target in leading:
        if not any(target.is_relative_to(root) for root in roots):
            raise _refused(real, f"`{name}` leads to {target}")
    return common


def _common_folder(place: Path) -> Path:
    if not os.path.lexists(place / "commondir"):
        return place
    # that of a linked worktree is two levels up, as git makes it
    common = Path(os.path.realpath(place / _line(place / "commondir")))
    if place.parent.name != "worktrees" or common != place.parents[1]:
        raise ValueError(f"`commondir` leads to {common}")
    return common


def _points_back(place: Path, top: Path) -> bool:
    """Tell whether a git folder elsewhere says that it is this folder's: a linked worktree's, or a submodule's."""
    if place.parent.name == "worktrees" and (place / "gitdir").is_file():
        back = Path(place, _line(place / "gitdir"))
        return back.name == ".git" and Path(os.path.realpath(back.parent)) == top
    if "modules" not in place.parts or not (place / "config").is_file():
        return False
    named = _WORKTREE.findall(_line(place / "config"))
    return any(Path(os.path.realpath(place / one.strip('"'))) == top for one in named)


def _leading_out(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what in a git folder leads out of it, and to where. ValueError for a pipe, which git would wait for."""
    for entry in entries_below(folder, without=_PASSED_OVER):
        if entry.is_dir(follow_symlinks=False):
            continue
        path = Path(entry.path)
        name = f".git/{path.relative_to(folder).as_posix()}"
        targets: list[Path] = []
        if entry.is_symlink():
            targets = [path]
        elif not entry.is_file() and not stat.S_ISSOCK(entry.stat().st_mode):
            raise ValueError(f"`{name}` is no file")
        elif name in _SETTINGS and entry.stat().st_size > _MOST_BYTES:
            raise ValueError(f"`{name}` is larger than {_MOST_BYTES >> 20} MiB")
        elif entry.name == "alternates" and path.parent.name == "info":
            named = (line.strip('"') for line in _line(path).splitlines())
            targets = [path.parents[1] / one for one in named if one and not one.startswith("#")]
        for target in map(Path, map(os.path.realpath, targets)):
            if not target.is_relative_to(folder):
                yield name, target


def _line(file: Path) -> str:
    return read_text(file, limit=_MOST_BYTES).strip()


def _refused(top: Path, why: str) -> RecipeError:
    return RecipeError.one(
        "R024",
        f"the history of `{top}` is not its own: {why}",
        hint="clone it anew; where both are yours, list a folder around them under `projects` of your settings",
    )
