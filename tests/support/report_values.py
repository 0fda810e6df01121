"""Every kind of value of a bundle's report or lock, changed alone: which of them something else denies."""

import hashlib
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from engine.bundle import written
from engine.bundle.contents import Contents, read_contents
from engine.bundle.signing import statement_of
from engine.bundle.tar_archive import Member
from engine.bundle.verification import CLAIMS
from engine.evidence import Report
from engine.lock.file import lock_from_text
from engine.render.report.page import read_json
from engine.values import from_json, replace
from support.forged_bundles import LOCK, REPORT

_REMADE = (written.form_problems, written.page_problems, written.statement_problems)
"""Of files that a forger writes anew from the report."""
_HEX = re.compile(r"[0-9a-f]{16,64}")
Path_ = tuple[str | int, ...]


def form_of(at: Path_) -> str:
    """A path as its kind: `[]` for the number of an item."""
    return ".".join("[]" if isinstance(part, int) else part for part in at)


def values_of(value: Any, at: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield every plain value, and lists of them, with its path."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list) and value and isinstance(value[0], dict | list):
        items = list(enumerate(value))
    else:
        yield at, value
    for key, below in items:
        yield from values_of(below, (*at, key))


def other(value: Any) -> Any:
    """Another value of the same type, which can be read and stands for the same thing."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * 1.01 + 0.001
        case str():
            return _other_text(value)
        case list():
            return value[:-1] if value else ["x"]
        case _:
            return 1.0


def _other_text(text: str) -> str:
    if _HEX.fullmatch(text):
        return f"{'1' if text[0] == '0' else '0'}{text[1:]}"
    return "2026-01-01T00:00:00+00:00" if _is_time(text) else f"{text}x"


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A bundle's report and lock, and one path of each kind of value in them."""

    contents: Contents
    report: dict[str, Any]
    lock: dict[str, Any]

    @classmethod
    def of(cls, files: dict[str, bytes]) -> Self:
        """Read the files of a bundle."""
        members = {
            name: Member(
                name=name, sha256=hashlib.sha256(data).hexdigest(), data=data, size=len(data)
            )
            for name, data in files.items()
        }
        report, lock = (json.loads(files[name]) for name in (REPORT, LOCK))
        accepted = lock_from_text(Path(LOCK), files[LOCK].decode()).accepted
        assert accepted is not None
        statement = statement_of(read_json(files[REPORT].decode()), accepted, {})
        return cls(contents=read_contents(members, statement), report=report, lock=lock)

    def kinds(self, of: str) -> dict[str, Path_]:
        """The first path of each kind of value of `report` or `lock`."""
        found: dict[str, Path_] = {}
        for at, _ in values_of(getattr(self, of)):
            found.setdefault(form_of(at), at)
        return found

    @property
    def holds(self) -> bool:
        """Whether the bundle denies nothing of itself as it is."""
        return not self._denies(self.report, self.lock)

    def is_denied(self, of: str, at: Path_) -> bool:
        """Tell whether the bundle denies another value there, all pages and the statement made anew."""
        changed = {"report": self.report, "lock": self.lock}
        changed[of] = deepcopy(changed[of])
        node: Any = changed[of]
        for part in at[:-1]:
            node = node[part]
        node[at[-1]] = other(node[at[-1]])
        return self._denies(changed["report"], changed["lock"])

    def _denies(self, shown: dict[str, Any], locked: dict[str, Any]) -> bool:
        try:
            report = from_json(Report, shown)
            lock = lock_from_text(Path(LOCK), json.dumps(locked))
            assert lock.accepted is not None
            found = replace(self.contents, report=report, lock=lock, accepted=lock.accepted)
            asked = (problems for problems in CLAIMS.values() if problems not in _REMADE)
            return any(next(iter(problems(found)), None) is not None for problems in asked)
        except Exception:  # noqa: BLE001 - what cannot be read or compared is denied
            return True
