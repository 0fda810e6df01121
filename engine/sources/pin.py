"""`recipe pin`: every moving reference of a recipe's text fixed, in place, comments and layout kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import EngineError, Problem, RecipeError, Severity
from engine.files import leases
from engine.progress import Progress
from engine.recipe.model import PackageRef, PathRef
from engine.recipe.outside import refusal, unread
from engine.recipe.references import written_references
from engine.recipe.resolve import OF_ABSENCE, check_recipe
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.layout_edit import Edit, with_edits
from engine.recipe.text.paths import absolute, is_pattern
from engine.recipe.text.source import SourceText, decode, parse_source, read_bytes
from engine.sources.local import DigestMemory, digest_of_path
from engine.trust.access import NOTHING
from engine.trust.allowed import Allowed
from engine.values import Value, replace


class Pin(Value):
    path: KeyPath
    """Key of the pin: `base_model.revision`."""
    of: str
    """The pinned reference, as the recipe writes it."""
    old: str
    """Empty where there was none."""
    new: str
    about: str
    """Which archive, which commit."""
    note: str = ""

    @property
    def key(self) -> str:
        return dotted(self.path)


class Pinned(Value):
    text: str
    """The recipe with the pins; nothing is written yet."""
    pins: tuple[Pin, ...]
    """The pins that change."""
    kept: int
    """References that are pinned already, and stay so."""
    notes: tuple[str, ...] = ()
    """References that cannot be pinned, and why."""
    problems: tuple[Problem, ...] = ()
    """Why something could not be found; then nothing is to be written."""


def pin_recipe(
    path: Path, progress: Progress, *, upgrade: bool, given: Allowed = NOTHING
) -> Pinned:
    """Return the text of a recipe, or of a parent, with every reference pinned.

    `upgrade` looks pinned references up again, too.

    Raises:
        RecipeError: the recipe has errors, besides what it leaves to others to say.

    """
    # A missing key may stand in another file; a missing file is an error where it is read.
    left_out = {*OF_ABSENCE, "R302"}
    found = check_recipe(path, given=given)[1]
    errors = [one for one in found if one.severity is Severity.ERROR]
    if wrong := [one for one in errors if one.code not in left_out]:
        raise RecipeError(wrong)
    # Read once for both: edits are placed by the positions that the same bytes were parsed at.
    content = read_bytes(path)
    source = replace(parse_source(content, path), given=given)
    text = decode(content, str(path))
    seeker = _Seeker(source=source, progress=progress, upgrade=upgrade)
    for at, written, kind in written_references(source.value):
        seeker.look(at, written, kind)
    edits = tuple(seeker.edits)
    return Pinned(
        text=with_edits(text, source, edits) if edits and not seeker.problems else text,
        pins=tuple(seeker.pins),
        kept=seeker.kept,
        notes=tuple(seeker.notes),
        problems=tuple(seeker.problems),
    )


_Finder = Callable[[], tuple[str, str, str]]
"""Gives the pin, what it is about, and a note."""


@dataclass(slots=True, kw_only=True)
class _Seeker:
    source: SourceText
    progress: Progress
    upgrade: bool
    pins: list[Pin] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    kept: int = 0

    def look(self, at: KeyPath, written: Mapping[str, Any], kind: str) -> None:
        for anchor, key, find in (
            ("hub", "revision", lambda: self._hub(written, kind)),
            ("package", "sha256", lambda: self._package(written)),
            ("path", "sha256", lambda: self._file(written, "path")),
            ("gguf", "sha256", lambda: self._file(written, "gguf")),
        ):
            if isinstance(written.get(anchor), str):
                self._pin((*at, key), written, anchor, find)
                return
        if "endpoint" in written:
            self.notes.append(f"{dotted(at)}: what a server serves cannot be pinned")

    def _pin(self, path: KeyPath, written: Mapping[str, Any], anchor: str, find: _Finder) -> None:
        named, old = str(written[anchor]), str(written.get(str(path[-1]), ""))
        at = dotted(path[:-1])
        if anchor == "path" and is_pattern(named, self.source.path.parent):
            self.notes.append(f"{at}: `{named}` matches several files; none of them is pinned")
            return
        if old and not self.upgrade:
            self.kept += 1
            return
        try:
            new, about, note = find()
        except EngineError as error:
            place = self.source.place((*path[:-1], anchor))
            self.problems += (replace(one, path=at, place=place) for one in error.problems)
            return
        if new == old:
            self.kept += 1
            self.notes += [f"{at}: {note}"] if note else []
            return
        self.edits.append(Edit(at=path, value=new, below=anchor))
        self.pins.append(Pin(path=path, of=named, old=old, new=new, about=about, note=note))

    def _hub(self, written: Mapping[str, Any], kind: str) -> tuple[str, str, str]:
        from engine.sources.hub import newest_commit  # only when something is asked

        self.progress.note(f"asking the hub for {written['hub']}")
        repository = "model" if kind == "model" else "dataset"
        return newest_commit(written["hub"], repository), "the commit that `main` is at", ""

    def _package(self, written: Mapping[str, Any]) -> tuple[str, str, str]:
        from engine.sources.index import find_archive

        name, version = written["package"].split("==")
        self.progress.note(f"asking the package index for {name} {version}")
        file = str(written.get("file", ""))
        ref = PackageRef(name=name, version=version, sha256=None, file=file)
        found = find_archive(ref, self.progress)
        newer = f"version {found.newest} is there" if found.newest != version else ""
        return found.sha256, found.name, newer

    def _file(self, written: Mapping[str, Any], key: str) -> tuple[str, str, str]:
        path = absolute(written[key], self.source.path.parent)
        if left := unread(self.source, written[key], key):
            raise refusal(left, self.source.file)
        with leases.temporary_folder() as folder:
            # An empty memory: a pin stands for the bytes as they are read now.
            memory = DigestMemory(folder / "digests.json")
            digest = digest_of_path(PathRef(path=path, written=written[key]), memory)
        return digest, "all files of the folder" if path.is_dir() else "the file's bytes", ""
