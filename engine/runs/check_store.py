"""Reading all that a store holds, byte by byte, and every run folder beside it; nothing is changed."""

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


class Found(Value):
    """A result or a run that is not as it was left, or was not looked into."""

    what: str
    name: str
    why: str


class StoreCheck(Value):
    results: int
    runs: int
    bytes: int
    damaged: tuple[Found, ...]
    left_alone: tuple[Found, ...]
    """Of others, or of another version."""


def check_store(root: Path, progress: Progress) -> StoreCheck:
    """Hash every file of every result and run that this user made, and read back what later stages read.

    EnvironmentProblem E757 for a key that cannot be read.
    """
    folders, store, recorded = list[Path](), Store(root), Runs(root)
    for outer in sorted((root / "store").glob("??")):
        if not outer.is_symlink():
            folders += sorted(path for path in outer.iterdir() if not path.name.startswith("."))
    runs = [run for name in recorded.names() for run in recorded.of(name)]
    damaged: list[Found] = []
    left: list[Found] = []
    hashed = 0
    for number, folder in enumerate([*folders, *runs], 1):
        if number <= len(folders):
            found, what = read_manifest(folder), "result"
            name = f"{found.artifact.stage if found.artifact else what} {folder.name[:12]}"
            ours = found.stored is not Stored.FOREIGN
            hashed += (
                sum(one.bytes for one in found.artifact.files) if ours and found.artifact else 0
            )
            why = _why_damaged(store, found) if ours else ""
        else:
            what, name, ours = (
                "run",
                f"{folder.parent.name}/{folder.name}",
                is_ours(read_record(folder)),
            )
            why = _why_not_as_left(folder) if ours else ""
        if why or not ours:
            (damaged if ours else left).append(Found(what=what, name=name, why=why or NOT_OURS))
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
    # the right bytes under the name of another key would pass one result off as another
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


def _why_not_as_left(run: Path) -> str:
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
