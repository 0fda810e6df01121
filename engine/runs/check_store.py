"""Check of all results and runs of a store, byte by byte; nothing is changed."""

import os
from pathlib import Path
from typing import Final

from engine.artifacts.results import is_readable
from engine.errors import StoreError
from engine.files.digests import sha256_of
from engine.files.reading import parse_json
from engine.progress import Progress
from engine.store import Artifact, FileEntry, Store, Stored
from engine.store.manifest import ArtifactFolder, plain_status, read_manifest, regular_files
from engine.store.records import (
    RECORD,
    REPORTED,
    Runs,
    is_ours,
    read_file,
    read_record,
    require_exported,
)
from engine.values import Value

NOT_OURS: Final = "it was not made here"


class StoreFinding(Value):
    """A result or a run that is damaged, or was not checked."""

    what: str
    name: str
    why: str


class StoreCheck(Value):
    results: int
    runs: int
    bytes: int
    damaged: tuple[StoreFinding, ...]
    left_alone: tuple[StoreFinding, ...]
    """Results and runs of other users, or of another version of the engine."""


def check_store(root: Path, progress: Progress) -> StoreCheck:
    """Hash every file of every result and run that this user made, and read the results as later stages do.

    EnvironmentProblem E757 for a key that cannot be read.
    """
    folders, store, recorded = list[Path](), Store(root), Runs(root)
    for outer in sorted((root / "store").glob("??")):
        if not outer.is_symlink():
            folders += sorted(path for path in outer.iterdir() if not path.name.startswith("."))
    runs = [run for name in recorded.names() for run in recorded.of(name)]
    damaged: list[StoreFinding] = []
    left: list[StoreFinding] = []
    hashed = 0
    for number, folder in enumerate([*folders, *runs], 1):
        if number <= len(folders):
            found, what = read_manifest(folder), "result"
            name = f"{found.artifact.stage if found.artifact else what} {folder.name[:12]}"
            ours = found.stored is not Stored.FOREIGN
            why = _why_damaged(store, found) if ours else NOT_OURS
            if ours and found.artifact:
                hashed += sum(one.bytes for one in found.artifact.files)
        else:
            what, name = "run", f"{folder.parent.name}/{folder.name}"
            ours = is_ours(read_record(folder))
            why = _why_run_damaged(folder) if ours else NOT_OURS
        if why:
            (damaged if ours else left).append(StoreFinding(what=what, name=name, why=why))
        progress.update(number, len(folders) + len(runs), "results and runs")
    return StoreCheck(
        results=len(folders),
        runs=len(runs),
        bytes=hashed,
        damaged=tuple(damaged),
        left_alone=tuple(left),
    )


def _why_damaged(store: Store, found: ArtifactFolder) -> str:
    artifact = found.artifact
    if found.stored is not Stored.WHOLE or artifact is None:
        return "its manifest cannot be read"
    wrong = next((why for one in artifact.files if (why := _wrong_bytes(artifact, one))), "")
    if wrong:
        return wrong
    try:
        there = {
            path.relative_to(artifact.path).as_posix() for path in regular_files(artifact.path)
        }
    except (OSError, ValueError) as error:
        return str(error)
    if more := there - {entry.name for entry in artifact.files}:
        return f"`{min(more)}` is not in its manifest"
    # the folder of one result could be renamed to the key of another
    is_in_place = store.get(artifact.key) is not None
    return "" if is_in_place and is_readable(artifact.stage, artifact) else "it cannot be read back"


def _wrong_bytes(artifact: Artifact, entry: FileEntry) -> str:
    if plain_status(artifact.path, entry.name) is None:
        return f"`{entry.name}` is not there"
    try:
        is_right = sha256_of(artifact.path / entry.name) == entry.sha256
    except OSError as error:
        return f"`{entry.name}` cannot be read: {error.strerror or error}"
    return "" if is_right else f"`{entry.name}` does not have its digest"


def _why_run_damaged(run: Path) -> str:
    try:
        for name in read_record(run).get("files", {}):
            if name in REPORTED:
                read_file(run, name)
        report = parse_json(read_file(run, "report.json"))
        if report["outcome"] == "accepted":
            require_exported(run, [str(file["name"]) for file in report["files"]])
    except StoreError as error:
        return error.problems[0].message.partition(": ")[2] or str(error)
    except (ValueError, TypeError, KeyError):
        return "its report cannot be read"
    return "" if os.path.isfile(run / RECORD) else "it has no record"
