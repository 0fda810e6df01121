"""The lock beside a recipe: which rows are held out, and what the accepted run had, used and left.

The first part is written by every run and meant to be committed, so that a redrawn holdout shows in
review; the second, `accepted`, only by a run that was accepted (`engine.store.accepted`). Plain JSON
in a fixed order, one fact a line; `schemas/lock.v1.schema.json` describes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.files import writing
from engine.files.reading import read_text
from engine.store.accepted import Accepted, accepted_from_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA = "lock.v1"
SUFFIX = ".lock.json"
NONE = "none"
"""What records call the rows in no split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSplit:
    """One split as it was drawn."""

    rows: int
    digest: str
    """sha256 over the sorted normalised rows."""
    members: str | None
    """Base64 of the sorted keys of the rows; None where there are too many training rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFirewall:
    """The proof that the holdout stands apart: as `engine.evidence.Firewall`."""

    method: str
    similarity: float
    found_exact: int
    found_near: int
    left_exact: int
    left_near: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """What has been done with the holdout."""

    looks: int = 0
    """Runs in which a verdict was formed on it."""
    redraws: int = 0
    """How often another holdout took its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What one recipe has drawn."""

    recipe: str
    """Its name; only for people."""
    draw: Mapping[str, Any]
    """What decides which rows are held out, by recipe key: JSON scalars."""
    inputs: str
    """Digest of everything that the splits were made from, without the record they were held to."""
    drawn_with: str | None
    """Digest of the record that the splits were held to; None for a fresh draw."""
    splits: Mapping[str, LockedSplit]
    unused: str | None
    """Base64 of the sorted keys of the rows in no split; None where training rows are not recorded."""
    firewall: LockedFirewall | None
    """None where nothing is held out."""
    holdout: Wear = field(default_factory=Wear)
    accepted: Accepted | None = None
    """None before a run was accepted."""

    def members(self) -> dict[str, str]:
        """The recorded members by split, as base64; those of no split as `none`."""
        found = {name: split.members for name, split in self.splits.items()} | {NONE: self.unused}
        return {name: members for name, members in found.items() if members is not None}


def lock_path(recipe_file: Path) -> Path:
    """Where the lock of a recipe stands: `reviews.yaml` has `reviews.lock.json` beside it."""
    return recipe_file.with_name(f"{recipe_file.stem}{SUFFIX}")


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, or None when there is no file.

    Raises:
        DataError: the file cannot be read, is not JSON, or is not a lock of this version.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(getattr(error, "strerror", "") or "not UTF-8")) from error
    return lock_from_text(path, text)


def lock_from_text(path: Path, text: str) -> Lock:
    """The lock that `text` holds, which stood at `path` at some time. Raises as `read_lock` does."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise _unreadable(path, _why_no_json(text, error)) from error
    return _parse(path, data)


def write_lock(path: Path, lock: Lock) -> bool:
    """Write the lock when it differs from what stands there: aside, then renamed; tell whether it was written.

    A link at `path` is replaced, never followed.

    Raises:
        OSError: the folder cannot be written.

    """
    text = lock_text(lock)
    try:
        if read_text(path, follow=False) == text:
            return False
    except (OSError, UnicodeDecodeError):
        pass  # absent, or not readable: the caller has read it before
    writing.write_text(path, text)
    return True


def lock_text(lock: Lock) -> str:
    """The file's text: the same for the same lock, whatever order its parts were made in."""
    plain = {"schema": SCHEMA, **asdict(lock)}
    plain["draw"] = dict(sorted(lock.draw.items()))
    if lock.accepted is None:
        del plain["accepted"]
    order = ("train", "validation", "holdout")
    plain["splits"] = {name: asdict(lock.splits[name]) for name in order if name in lock.splits}
    return json.dumps(plain, ensure_ascii=False, indent=2) + "\n"


def _parse(path: Path, data: Any) -> Lock:  # noqa: ANN401 - JSON data
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        named = f"it says `{data['schema']}`" if isinstance(data, dict) and "schema" in data else ""
        raise DataError.one(
            "D381",
            f"`{path.name}` is not a lock that this version writes{f': {named}' if named else ''}",
            hint=f"move `{path.name}` away, or install the version of slm-recipe that wrote it",
        )
    try:
        return _lock({key: value for key, value in data.items() if key != "schema"})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError.one(
            "D382",
            f"`{path.name}` does not hold what a lock holds: {error}",
            hint=f"take `{path.name}` back from version control; without it the next run draws "
            "and records the holdout anew",
        ) from error


def _lock(data: dict[str, Any]) -> Lock:
    firewall = data["firewall"]
    lock = Lock(
        **{
            **data,
            "splits": {name: _made(LockedSplit, part) for name, part in data["splits"].items()},
            "firewall": _made(LockedFirewall, firewall) if firewall is not None else None,
            "holdout": _made(Wear, data["holdout"]),
            "accepted": accepted_from_json(data["accepted"]) if "accepted" in data else None,
        }
    )
    texts = (lock.recipe, lock.inputs, lock.drawn_with or "", lock.unused or "")
    if not isinstance(lock.draw, dict) or not all(isinstance(text, str) for text in texts):
        message = "`draw` is an object; `recipe`, `inputs`, `drawn_with` and `unused` are texts"
        raise TypeError(message)
    return lock


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "int": int,
    "str": str,
    "float": (int, float),
    "str | None": (str, type(None)),
}


def _made[T: DataclassInstance](kind: type[T], part: Mapping[str, Any]) -> T:
    """A part of a lock whose fields have the right types; TypeError or KeyError otherwise."""
    for one in fields(kind):
        value = part[one.name]
        if isinstance(value, bool) or not isinstance(value, _TYPES[str(one.type)]):
            message = f"`{one.name}` is {json.dumps(value)}"
            raise TypeError(message)
        if isinstance(value, int) and value < 0:
            message = f"`{one.name}` is {value}"
            raise ValueError(message)
    return kind(**part)


def _why_no_json(text: str, error: ValueError) -> str:
    if "<<<<<<< " in text and ">>>>>>> " in text:
        return "it holds the marks of a merge conflict"
    return f"not JSON ({error})"


def _unreadable(path: Path, why: str) -> DataError:
    return DataError.one(
        "D380",
        f"cannot read `{path.name}`: {why}",
        hint="keep one side of the conflict whole, or take the file back from version control; "
        "without it the next run draws and records the holdout anew",
    )
