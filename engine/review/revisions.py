"""The files of a repository as a version of a recipe finds them: on the disk, or as they were at a commit."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.errors import Place, RecipeError
from engine.files import reading
from engine.recipe.model import Json, PathRef, Recipe, Source
from engine.recipe.outside import refuse_leading_out
from engine.recipe.text.paths import match_listed
from engine.recipe.text.source import Reader, read_bytes
from engine.review.repository import Repository, Target, is_pointer, pointer_of
from engine.review.version import Disk
from engine.trust.allowed import Allowed
from engine.values import replace


class WorkingTree(Disk):
    repository: Repository
    changed: frozenset[str]
    """The files that differ between both versions, by their paths from the root."""
    commit: str = ""
    """Empty for the files on the disk."""

    def target(self, path: Path) -> Target:
        return self.repository.target(path, self.commit)

    def identity(self, path: Path) -> Mapping[str, Json]:
        target = self.target(path)
        name = target.steps[-1] if target.steps else str(path)
        is_other = _touches(target.steps, self.changed)
        return {"path": name, "at": self.commit} if is_other else {"path": name}

    def copy(self, path: Path) -> Path | None:
        if not path.is_file():
            return None
        return self.repository.large_file(reading.read_bytes(path)) if is_pointer(path) else path

    def keeps(self, path: Path) -> bool:
        return not self.target(path).is_outside

    def ignores(self, path: Path) -> bool:
        return self.repository.ignores(path)


class PartialTree(WorkingTree):
    """The working tree, where files that are not checked out, or that git ignores, may be missing."""

    @property
    def reader(self) -> Reader:
        """Another reader than the disk's: files that are not there are no problem."""
        return self.read


class Revision(WorkingTree):
    """The files of a repository at a commit; what git does not know is taken from the disk."""

    scratch: Path
    is_compared: bool
    """True beside another commit: a file that did not change between them may still differ on the disk."""

    @property
    def reader(self) -> Reader:
        return self.recipe_text

    def recipe_text(self, path: Path) -> bytes:
        if self.target(path).is_outside:
            # A link that leads out of the repository would have the comment quote somebody's file.
            refuse_leading_out(path, Allowed())
            return read_bytes(path)
        try:
            return self.read(path)
        # An OSError as well, but of its own meaning: the file was not there.
        except FileNotFoundError:
            raise
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise RecipeError.one("R103", message, place=Place(file=str(path))) from error

    def read(self, path: Path) -> bytes:
        named = None if self.target(path).is_outside else self.repository.named(path)
        if named is None:
            return reading.read_bytes(path)
        return self.repository.content(self.commit, named)

    def copy(self, path: Path) -> Path | None:
        """Return the file itself where it is the same now, else a copy; None where its bytes are not here."""
        target = self.target(path)
        is_same = not _touches(target.steps, self.changed)
        if is_same and (target.entry is None or not self.is_compared):
            return path if path.is_file() and not is_pointer(path) else None
        if target.entry is None or not target.entry.is_file:
            return None
        return self._extracted(target, path)

    def _extracted(self, target: Target, path: Path) -> Path | None:
        try:
            content = self.repository.content(self.commit, target.steps[-1])
        except (OSError, RecipeError):
            return None
        if (pointer := pointer_of(content)) is not None:
            here = self.repository.large_file(content)
            return here or (path if pointer.stands_for(path) else None)
        # A folder for each file: names may repeat, and must stay, since they tell the format.
        name = hashlib.sha256(os.fsencode(target.steps[-1])).hexdigest()[:12]
        place = self.scratch / name / path.name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        return place

    def keeps(self, path: Path) -> bool:
        return self.target(path).entry is not None

    def expanded(self, recipe: Recipe) -> Recipe:
        found: dict[str, list[Source]] = {}
        for number, source in enumerate(recipe.data.sources):
            pattern = source.ref.pattern if isinstance(source.ref, PathRef) else ""
            found.setdefault(pattern or str(number), []).append(source)
        sources = (one for listed in found.values() for one in self._matched(listed, recipe))
        return replace(recipe, data=replace(recipe.data, sources=tuple(sources)))

    def _matched(self, today: list[Source], recipe: Recipe) -> list[Source]:
        """Return the files of one pattern: those of the commit, and those on the disk that git does not know."""
        ref = today[0].ref
        if not isinstance(ref, PathRef) or not ref.pattern:
            return today
        tree, root = self.repository.tree(self.commit), self.repository.root
        files = {root / path for path, entry in tree.items() if entry.is_file}
        for one in today:
            if isinstance(one.ref, PathRef):
                named = self.repository.named(one.ref.path)
                if named is None or not _touches((named,), self.changed):
                    files.add(root / named if named else one.ref.path)
        matched = match_listed(ref.pattern, recipe.file.parent, files)
        refs = [replace(ref, path=path, written=written) for written, path in matched]
        return [replace(today[0], ref=one) for one in refs] or today[:1]


def _touches(steps: tuple[str, ...], changed: frozenset[str]) -> bool:
    if not changed.isdisjoint(steps):
        return True
    return any(name.startswith(f"{step}/") for step in steps[-1:] for name in changed)


@contextmanager
def revisions(
    repository: Repository, old: str, new: str | None, changed: frozenset[str]
) -> Iterator[tuple[Disk, Disk]]:
    """Yield the trees of two commits, the second one being the working tree where it is None."""
    with tempfile.TemporaryDirectory(prefix="recipe-review-") as folder:
        places = [Path(folder) / name for name in ("old", "new")]
        for place in places:
            place.mkdir()

        def at(commit: str, place: Path) -> Revision:
            return Revision(
                repository=repository,
                changed=changed,
                commit=commit,
                scratch=place,
                is_compared=new is not None,
            )

        after = at(new, places[1]) if new else WorkingTree(repository=repository, changed=changed)
        yield at(old, places[0]), after
