"""References of a recipe outside its project, and which of them its user has allowed."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from engine.trust.allowed import (
    Allowed,
    Project,
    lies_below,
    project_of,
    projects,
    reading,
    real_place,
    sending_key,
    sending_rows,
    trusted,
)
from engine.trust.hosts import Address, is_never_sent
from engine.values import replace

MOST_ENTRIES: Final = 20_000
"""Entries of a folder that is searched for links; a model has some dozens."""
_FEW: Final = 3
"""Files of one folder that links lead to; of more, the folder stands for them."""

NOTHING: Final = Allowed()


@dataclass(frozen=True, kw_only=True)
class AccessCheck:
    """Says of paths and servers whether a recipe may reach them. Looks at links and folders, never into files."""

    recipe: Path
    given: Allowed = NOTHING
    """Permissions of this call; those that the user keeps are added when something is outside."""
    _known: dict[Path, tuple[Path, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def project(self) -> Project:
        return project_of(self.recipe, projects())

    @cached_property
    def allowed(self) -> Allowed:
        return replace(self.given, references=self.given.references | trusted(self.recipe))

    def holds(self, path: Path) -> bool:
        return self.project.holds(real_place(path))

    def outside(self, path: Path, *, below: Path | None = None) -> tuple[Path, ...]:
        """Return the real places outside the project that reading a path means; a folder is read with what is in it.

        `below` is the folder that a pattern starts from: what lies below it counts as that folder. Nothing is
        looked for in what may not be read. ValueError for text that is no path.
        """
        place = real_place(path)
        is_inside = self.project.holds(place)
        if not is_inside and below and lies_below(place, start := real_place(below)):
            place = start
        if place not in self._known:
            found = [] if is_inside else [place]
            if is_inside or self.allowed.may_read(place):
                found += _gathered(self._targets(place))
            self._known[place] = tuple(found)
        return self._known[place]

    def may_read(self, path: Path, *, below: Path | None = None) -> bool:
        """Tell whether all that reading a path means may be read; text that is no path has nothing to be read."""
        try:
            return all(map(self.allowed.may_read, self.outside(path, below=below)))
        except (OSError, ValueError):
            return True

    def may_list(self, folder: Path) -> bool:
        try:
            place = real_place(folder)
        except (OSError, ValueError):
            return False
        return self.project.holds(place) or self.allowed.may_read(place)

    def may_follow(self, link: Path, start: Path) -> bool:
        place = real_place(link)
        return (
            self.project.holds(place)
            or self.allowed.may_read(place)
            or (self.may_list(start) and lies_below(place, real_place(start)))
        )

    def asked(self, address: Address, variable: str) -> tuple[tuple[str, bool], ...]:
        found = []
        if not address.is_loopback:
            found.append((sending_rows(address), self.allowed.may_ask(address)))
        if variable and not is_never_sent(variable) and not NOTHING.may_send(variable, address):
            found.append((sending_key(variable, address), self.allowed.may_send(variable, address)))
        return tuple(found)

    def read(self, path: Path, *, below: Path | None = None) -> tuple[tuple[str, Path, bool], ...]:
        places = self.outside(path, below=below)
        return tuple((reading(one), one, self.allowed.may_read(one)) for one in places)

    def _targets(self, folder: Path) -> Iterator[Path]:
        entries = entries_below(folder)
        for entry in islice(entries, MOST_ENTRIES):
            if not entry.is_symlink():
                continue
            target = real_place(Path(entry.path))
            if not self.project.holds(target) and not lies_below(target, folder):
                yield target
        # more entries than are looked through: something unseen counts as outside
        if next(entries, None) is not None:
            yield folder / "…"


def entries_below(folder: Path, *, without: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder, but for names in `without`, and in the folders below it; no link is followed."""
    left = [str(folder)]
    while left:
        top = left.pop()
        try:
            with os.scandir(top) as found:
                # sorted, so that a folder with more entries than are looked through gives the
                # same answer each time
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:  # no folder, or one that cannot be read: reading tells
            continue
        if top == str(folder):
            entries = [one for one in entries if one.name not in without]
        yield from entries
        # a link to a folder above would never come to an end; where links lead is judged by the
        # caller
        left += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _gathered(targets: Iterator[Path]) -> Iterator[Path]:
    by_folder: dict[Path, set[Path]] = {}
    for target in targets:
        by_folder.setdefault(target.parent, set()).add(target)
    for folder, files in sorted(by_folder.items()):
        yield from sorted(files) if len(files) <= _FEW else (folder,)
