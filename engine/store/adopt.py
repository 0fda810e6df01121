"""Results that were not made here: counting them, and taking them over once the user has agreed.

Taking over verifies every digest and signs with this user's key; what was made when stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.files import writing
from engine.files.digests import sha256_of
from engine.files.reading import read_json
from engine.store.artifact import Artifact
from engine.store.key import make_key
from engine.store.manifest import NAME as MANIFEST
from engine.store.manifest import (
    Stored,
    manifest_text,
    plain_status,
    read_manifest,
    regular_files,
)
from engine.store.runs import (
    RECORD,
    REPORTED,
    Runs,
    is_ours,
    read_record,
    record_text,
    write_text,
)
from engine.store.store import SCRATCH, Store, storage_errors
from engine.values import dataclass

WORDS: Final = "--trust-store"
_KEY: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """What stands in a store and was not made by this user, or not by a version that signs."""

    results: int
    runs: int

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.results or self.runs)

    def words(self) -> str:
        """Return it in words: `3 results and 1 run`."""
        parts = [
            f"{count} {name}{'' if count == 1 else 's'}"
            for count, name in ((self.results, "result"), (self.runs, "run"))
            if count
        ]
        return " and ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What was taken over, and what was not."""

    taken: Foreign
    refused: tuple[str, ...]
    """Each with the reason."""


def foreign_in(root: Path) -> Foreign:
    """Count what was not made here. Reads manifests and records, not files."""
    return Foreign(
        results=sum(1 for _ in _foreign_artifacts(root)), runs=len(list(_foreign_runs(root)))
    )


def foreign_problem(root: Path) -> Problem | None:
    """Return the warning about what was not made here, with the words that adopt it; None without any."""
    found = foreign_in(root)
    if not found:
        return None
    return Problem(
        code="E751",
        message=f"{found.words()} in `{root.name}` were not made here, or by an earlier version, and are not used",
        hint=f"if you trust them, take them over once: the same command with {WORDS}",
        severity=Severity.WARNING,
    )


def adopt(store: Store) -> Adopted:
    """Take over every result, run and work in progress whose digests are right.

    StoreError, EnvironmentProblem: the store cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    taken, refused = [0, 0], []
    for folder in _foreign_artifacts(store.root):
        why = _adopt_artifact(store, folder, now)
        taken[0] += not why
        refused += [f"result {folder.name[:12]}: {why}"] if why else []
    for run in _foreign_runs(store.root):
        why = adopt_run(run, now)
        taken[1] += not why
        refused += [f"run {run.parent.name}/{run.name}: {why}"] if why else []
    for path in _plain_folders(store.root, SCRATCH, levels=1):
        # work in progress has no manifest to be compared with: here the user's word is all there
        # is
        if _KEY.fullmatch(path.name) and not store.has_scratch(path.name):
            store.adopt_scratch(path.name)
    return Adopted(taken=Foreign(results=taken[0], runs=taken[1]), refused=tuple(refused))


def adopt_run(run: Path, now: str) -> str:
    """Take over one run folder; return why not, or nothing."""
    record = read_record(run)
    why = _why_not_as_reported(run, record)
    if why:
        return why
    try:
        files = {name: sha256_of(run / name) for name in REPORTED if plain_status(run, name)}
    except OSError as error:
        return error.strerror or str(error)
    write_text(run / RECORD, record_text({**record, "files": files, "adopted": now}))
    return ""


def _adopt_artifact(store: Store, folder: Path, now: str) -> str:
    found = read_manifest(folder).artifact
    if found is None:
        return "it has no manifest"
    # right digests of files say nothing of the question: any result can be put under any key
    if make_key(found.payload).digest != found.key:
        return "it answers another question than its name says"
    why = _why_not_whole(found)
    if why:
        return why
    with storage_errors(store.root):
        text = manifest_text(replace(found, adopted=now))
        writing.write_text(folder / MANIFEST, text, below=store.root)
    return ""


def _why_not_whole(artifact: Artifact) -> str:
    try:
        there = {
            path.relative_to(artifact.path).as_posix() for path in regular_files(artifact.path)
        }
    except (OSError, ValueError) as error:
        return str(error)
    described = {entry.name: entry.sha256 for entry in artifact.files}
    # a file that the manifest does not name would be read with the others and never be hashed
    if there != set(described):
        return f"`{min(there ^ set(described))}` is not in both manifest and folder"
    for name, digest in described.items():
        if sha256_of(artifact.path / name) != digest:
            return f"`{name}` does not have its digest"
    return ""


def _why_not_as_reported(run: Path, record: Mapping[str, Any]) -> str:
    """Return which exported file is not the one that the run's report names; empty where all are."""
    known = record.get("files")
    # records of versions that did not sign name no digests: the report's are all there are
    expected = dict(known) if isinstance(known, dict) else {}
    try:
        report = read_json(run / "report.json", follow=False)
        exported = report["files"] if report["outcome"] == "accepted" else []
        expected |= {str(file["name"]): file["sha256"] for file in exported}
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"its report cannot be read ({error})"
    for name, digest in expected.items():
        if plain_status(run, name) is None or sha256_of(run / name) != digest:
            return f"`{name}` does not have its digest"
    return ""


def _foreign_artifacts(root: Path) -> Iterator[Path]:
    for folder in _plain_folders(root, "store", levels=2):
        if read_manifest(folder).stored is Stored.FOREIGN:
            yield folder


def _foreign_runs(root: Path) -> Iterator[Path]:
    runs = Runs(root)
    for name in runs.names():
        for run in runs.of(name):
            if not is_ours(read_record(run)):
                yield run


def _plain_folders(root: Path, name: str, *, levels: int) -> list[Path]:
    """Return the folders so many levels below `root/name`, none of them behind a link, in order."""
    found = [] if (root / name).is_symlink() else [root / name]
    for _ in range(levels):
        found = [
            inner
            for folder in found
            if folder.is_dir()
            for inner in sorted(folder.iterdir())
            if inner.is_dir() and not inner.is_symlink()
        ]
    return found
