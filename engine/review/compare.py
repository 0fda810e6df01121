"""Two versions of a recipe side by side: which keys differ, and how their values are shown."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from engine.evidence.review import Effect, Finding
from engine.recipe.model import FROM_TRAIN, Json, PathRef, Reference, ValidationSize
from engine.recipe.references import base_reference
from engine.review.flatten import Leaf, Leaves, Paired, leaves_of, listed_of, paired, source_leaves
from engine.review.version import Side
from engine.values import Value

MOST: Final = 60
DEFAULT: Final = " (default)"


class ChangedKey(Value):
    path: str
    form: str
    before: Json
    after: Json
    shown: tuple[str, str]
    """Both values as people read them; empty where a version does not set the key."""


class Versions(Value, dict=True):
    old: Side
    new: Side

    @cached_property
    def before(self) -> Leaves:
        return leaves_of(self.old.resolved)

    @cached_property
    def after(self) -> Leaves:
        return leaves_of(self.new.resolved)

    @cached_property
    def sources(self) -> tuple[Paired, ...]:
        return paired(listed_of(self.old), listed_of(self.new))

    @cached_property
    def differing(self) -> tuple[ChangedKey, ...]:
        """Every key that differs, sources left out, in the order of the language."""
        # A recipe that moved to another folder writes another path to the same file.
        old, new = (base_reference(side.recipe.base_model) for side in (self.old, self.new))
        is_same = _same_file(old, new)
        without = "base_model.path" if is_same else ""
        return tuple(self._differing(self.before, self.after, without))

    def _differing(self, before: Leaves, after: Leaves, without: str) -> Iterator[ChangedKey]:
        for path in dict.fromkeys((*after, *before)):
            old, new = before.get(path), after.get(path)
            leaf = new or old
            if leaf is None or path == without or (old and new and _equal(old, new)):
                continue
            yield ChangedKey(
                path=path,
                form=leaf.form,
                before=old.value if old else None,
                after=new.value if new else None,
                shown=(_shown(self.old, old), _shown(self.new, new)),
            )

    def of_source(self, source: Paired) -> tuple[ChangedKey, ...]:
        if source.old is None or source.new is None:
            return ()
        before, after = (
            source_leaves(source.path, one.written, number=one.number)
            for one in (source.old, source.new)
        )
        is_same = _same_file(source.old.first.ref, source.new.first.ref)
        return tuple(self._differing(before, after, f"{source.path}.path" if is_same else ""))

    def find(self, path: str) -> ChangedKey | None:
        return next((one for one in self.differing if one.path == path), None)


def other_bytes(versions: Versions, old: Reference | None, new: Reference | None) -> bool:
    """Return whether a local file or folder that both versions name by the same path is another one now."""
    if not isinstance(old, PathRef) or not isinstance(new, PathRef) or old.sha256 != new.sha256:
        return False
    # Else it is reported as another path.
    is_same_path = old.written == new.written or old.path == new.path
    return is_same_path and _are_here(versions, old, new) and not equal_bytes(versions, old, new)


def same_content(versions: Versions, old: Reference | None, new: Reference | None) -> bool:
    """Return whether two paths lead to the same bytes: of a recipe that moved, or of a renamed file."""
    if not isinstance(old, PathRef) or not isinstance(new, PathRef):
        return False
    if old.path == new.path or (old.sha256 is not None and old.sha256 == new.sha256):
        return True
    return _are_here(versions, old, new) and equal_bytes(versions, old, new)


def _are_here(versions: Versions, old: PathRef, new: PathRef) -> bool:
    may_read = not (old.withheld or new.withheld)
    return may_read and versions.old.tree.has(old.path) and versions.new.tree.has(new.path)


def equal_bytes(versions: Versions, old: PathRef, new: PathRef) -> bool:
    """Return whether two paths that may be read hold the same: by what git says, else by their bytes."""
    if versions.old.tree.identity(old.path) == versions.new.tree.identity(new.path):
        return True
    if old.path == new.path:
        return False
    one, other = versions.old.tree.copy(old.path), versions.new.tree.copy(new.path)
    # Shallow, filecmp would take files of one size and time for equal without reading them.
    return one is not None and other is not None and filecmp.cmp(one, other, shallow=False)


def _same_file(old: object, new: object) -> bool:
    return (
        isinstance(old, PathRef)
        and isinstance(new, PathRef)
        and (old.path, old.pattern) == (new.path, new.pattern)
    )


def _equal(old: Leaf, new: Leaf) -> bool:
    values = (old.value, new.value)
    # 1 and 1.0 are the same bound; `true` equals 1 in Python, but is another value.
    are_numbers = all(type(one) in (int, float) for one in values)
    return (are_numbers or type(old.value) is type(new.value)) and old.value == new.value


def _shown(side: Side, leaf: Leaf | None) -> str:
    if leaf is None:
        return ""
    written = side.written(leaf.at)
    if written is not None:
        return cropped(written)
    default = DEFAULT if leaf.at and not side.says(leaf.at) else ""
    return cropped(plain(leaf.value)) + default


def plain(value: Json) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list):
        return f"[{', '.join(plain(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def cropped(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 1].rstrip()}…"


def rows_of(limit: Json) -> float:
    """Return how many rows a limit leaves at most; none, or 0, leaves all."""
    return limit if isinstance(limit, int) and limit else float("inf")


def is_smaller(old: ValidationSize, new: ValidationSize) -> bool | None:
    """Return whether a size became smaller; None where two kinds of sizes cannot be compared."""
    if 0 in (old, new):
        return new == 0
    if FROM_TRAIN in (old, new):
        return None
    if isinstance(old, str) or isinstance(new, str):
        return True if isinstance(old, str) and isinstance(new, int) else None
    # Rows and shares cannot be compared without the data.
    return new < old if type(old) is type(new) else None


def finding(
    code: str, path: str, says: str = "", before: str = "", after: str = "", *, weaker: bool = True
) -> Finding:
    effect = Effect.WEAKER if weaker else Effect.STRONGER
    return Finding(code=code, path=path, effect=effect, before=before, after=after, says=says)


def finding_of(one: ChangedKey, code: str, says: str = "", *, weaker: bool = True) -> Finding:
    before, after = one.shown if one.shown[0] != one.shown[1] else ("", "")
    return finding(code, one.path, says, before, after, weaker=weaker)
