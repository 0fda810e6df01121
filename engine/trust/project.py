"""The project of a recipe: the git repository that it is in, else its own folder."""

import os
import stat
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from engine.values import Value

STORE: Final = ".recipe"
"""The one name with a dot in front that belongs to a project: the engine's own."""


class Project(Value):
    """The folders whose files a recipe may name without asking."""

    folder: Path
    """The recipe's own folder, links followed."""
    roots: tuple[Path, ...]
    """Real folders; the recipe's own is one of them."""

    def holds(self, place: Path) -> bool:
        return any(lies_below(place, root) for root in self.roots)


def project_of(recipe: Path, further: Sequence[Path] = ()) -> Project:
    """Return the project of a recipe file; `further` are roots of the user's that count where the recipe is below them.

    A recipe that is a link belongs to the project that the link is in.
    """
    folder = real_place(
        Path(os.path.abspath(recipe)).parent
    )  # resolve() follows a link of the file
    above = [_repository(folder), *(root for root in further if folder.is_relative_to(root))]
    return Project(
        folder=folder,
        roots=tuple(dict.fromkeys(root for root in (*above, folder) if root is not None)),
    )


def real_place(path: Path) -> Path:
    return Path(os.path.realpath(path))


def lies_below(place: Path, root: Path) -> bool:
    """Tell whether a real place is `root` or below it, with no hidden name between them."""
    if not place.is_relative_to(root):
        return False
    return not any(_is_hidden(name) for name in place.relative_to(root).parts if name != STORE)


def _is_hidden(name: str) -> bool:
    """Some file systems drop invisible characters from names, so that one before `.git` still opens `.git`."""
    if name.isascii():
        return name.startswith(".")
    plain = unicodedata.normalize("NFKC", name)
    visible = (letter for letter in plain if unicodedata.category(letter) != "Cf")
    return next(visible, "") == "."


def _repository(folder: Path) -> Path | None:
    """Return the top of the git repository around a folder, found without running git and following no link.

    A repository of somebody else's around the folder does not count, and neither does one that holds the user's home:
    people keep their settings in such a one, and what they download lands below it.
    """
    home = None
    with suppress(RuntimeError):  # nobody's process has no home
        home = real_place(Path.home())
    for top in (folder, *folder.parents):
        if home is not None and home.is_relative_to(top):
            return None
        if _is_top(top):
            with suppress(OSError):
                return top if top.stat().st_uid == folder.stat().st_uid else None
            return None
    return None


def _is_top(folder: Path) -> bool:
    try:
        mode = (folder / ".git").lstat().st_mode
        # a file is that of a worktree or a submodule; an empty folder of that name is no
        # repository
        return not stat.S_ISDIR(mode) or (folder / ".git" / "HEAD").exists()
    except OSError:
        return False
