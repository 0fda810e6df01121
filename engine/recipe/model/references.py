"""What a recipe points at: models, data sets and files, on the hub, on the disk or in a package; and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Something outside the recipe's project that the recipe names: a file or folder, a server, a key for one."""

    code: str
    at: tuple[str | int, ...]
    """The key that names it."""
    reference: str
    """What it comes to, in the words that the user allows: `read /data/rows.csv`."""
    message: str
    option: tuple[str, str]
    """What allows it for one call: the option and its value."""
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRef:
    """A model or data set on the hub."""

    repo: str
    """`owner/name`."""
    revision: str | None = None
    """40 hex digits, or None where the recipe says `allow_moving`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRef:
    """A file or folder of the user's."""

    path: Path
    """Absolute, resolved against the recipe's folder."""
    written: str
    """As the recipe says it; this, not `path`, is shown."""
    sha256: str | None = None
    """Of the file's bytes, where the recipe pins it."""
    pattern: str = ""
    """The recipe's pattern that the file matched; empty for a path that is none."""
    # In the value itself, so that no reader of the path can forget to ask.
    withheld: tuple[Outside, ...] = ()
    """What of it is outside the recipe's project and was not allowed: then nothing of it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRef:
    """A file inside a wheel or sdist of the Python package index: read as an archive, never installed."""

    name: str
    version: str
    sha256: str | None
    """Of the archive; None only where the recipe says `allow_moving`."""
    file: str
    """Path in the archive; `//` steps into an archive inside it."""


Reference = HubRef | PathRef | PackageRef
