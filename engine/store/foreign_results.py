"""The count of results and runs in a store that were not made here."""

from __future__ import annotations

from pathlib import Path

from engine.errors import Problem, Severity
from engine.store.manifest import Stored, read_manifest
from engine.store.runs import SHARED_KEY, Runs, is_ours, read_record


def foreign_problem(root: Path) -> Problem | None:
    """Return the warning about what was not made here; None without any. Reads manifests and records, not files."""
    counts = {"result": _results(root), "run": _runs(root)}
    found = [
        f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count
    ]
    if not found:
        return None
    return Problem(
        code="E751",
        message=f"{' and '.join(found)} in `{root.name}` were not made here, "
        "or by an earlier version, and are not used",
        hint=SHARED_KEY,
        severity=Severity.WARNING,
    )


def _results(root: Path) -> int:
    folders = [root / "store"]
    for _ in range(2):
        # None of them behind a link.
        plain = (folder for folder in folders if folder.is_dir() and not folder.is_symlink())
        folders = [inner for folder in plain for inner in folder.iterdir()]
    return sum(
        not folder.is_symlink() and read_manifest(folder).stored is Stored.FOREIGN
        for folder in folders
    )


def _runs(root: Path) -> int:
    runs = Runs(root)
    return sum(not is_ours(read_record(run)) for name in runs.names() for run in runs.of(name))
