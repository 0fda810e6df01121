"""What a run that was ended must come to once it is run again: equal bytes, nothing alive, nothing left over."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.files.digests import sha256_of
from engine.store import Store
from support.runs import forget, is_whole, manifests, report, run_folders

STORE = ".recipe"
LOCK = "recipe.lock.json"
EVERYTHING = "everything"
"""A state in which nothing was done yet."""
NOTHING = "report"
"""A state in which all is done: the run plans, counts, and writes a report and the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What runs that nobody touched left: their artifacts, and what is equal in all of them."""

    stages: Mapping[str, str]
    """Stage or product by the key of each artifact."""
    stable: Mapping[tuple[str, str], str]
    """sha256 by key and file, of files that have the same bytes in every run."""
    exported: Mapping[str, str]
    """sha256 of each exported file."""


def reference_of(folders: list[Path]) -> Reference:
    """Compare several untouched runs of the same project."""
    found = [_digests(folder / STORE) for folder in folders]
    stable = {
        place: digest
        for place, digest in found[0].items()
        if all(one.get(place) == digest for one in found)
    }
    exported = [_exported(folder / STORE) for folder in folders]
    assert all(one == exported[0] for one in exported)
    stages = {made["key"]: made["stage"] for made in manifests(folders[0] / STORE)}
    return Reference(stages=stages, stable=stable, exported=exported[0])


def in_state(finished: Path, folder: Path, state: str) -> Path:
    """Copy a finished project so that the stage `state` is the next that runs, and return the copy."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(finished, folder, symlinks=True)
    (folder / "forked.log").unlink(missing_ok=True)
    root = folder / STORE
    if state == EVERYTHING:
        shutil.rmtree(root)
        (folder / LOCK).unlink()
    elif state != NOTHING:
        forget(root, state, with_products=state != "verify")
    return folder


def faults_of(folder: Path, reference: Reference, *, code: int) -> list[str]:
    """Return what is wrong with a project after its last run, which ended with `code`; nothing where all is right."""
    root = folder / STORE
    if code != 0:
        log = (folder / "forked.log").read_text(encoding="utf-8", errors="replace")
        return [f"the next run ended with {code}: {log[-600:]}"]
    found = []
    if not is_whole(root):
        found.append("the store is not whole")
    digests = _digests(root)
    stages = {made["key"]: made["stage"] for made in manifests(root)}
    found += [f"one more: {stage}" for key, stage in stages.items() if key not in reference.stages]
    found += [f"missing: {stage}" for key, stage in reference.stages.items() if key not in stages]
    found += [
        f"other bytes: {name} of {key[:8]}"
        for (key, name), digest in reference.stable.items()
        if digests.get((key, name)) != digest
    ]
    found += [f"exported: {one}" for one in _export_faults(root, reference)]
    found += [f"left over: {one}" for one in left_over(folder)]
    return found


def left_over(folder: Path) -> list[str]:
    """Return the names of what a run should not leave: halves, scratch, temporary files, runs without a record."""
    root = folder / STORE
    found = [path for path in folder.rglob("*") if path.name.endswith(".part")]
    for name in ("tmp", "scratch", "damaged", "foreign"):
        found += (root / name).glob("*")
    found += [run for run in (root / "runs").glob("*/*") if not (run / "run.json").exists()]
    found += (path for path in (root / "logs").glob("*") if path.stat().st_size == 0)
    found += (folder / "temporary").glob("*")
    return sorted(str(path.relative_to(folder)) for path in found)


def _export_faults(root: Path, reference: Reference) -> list[str]:
    last, outcome = run_folders(root)[-1], report(root)["outcome"]
    found = [] if outcome == "accepted" else [f"the outcome is {outcome}"]
    if _exported(root) != reference.exported:
        found.append("the report names other digests")
    found += [
        f"{name} does not have its digest"
        for name, digest in reference.exported.items()
        if not os.path.isfile(last / name) or sha256_of(last / name) != digest
    ]
    lock: dict[str, Any] = json.loads((root.parent / LOCK).read_text(encoding="utf-8"))
    names = {**lock["accepted"]["files"], **lock["accepted"]["adapter"]}
    found += [
        f"the lock's digest of {name}"
        for name, digest in names.items()
        if os.path.isfile(last / name) and sha256_of(last / name) != digest
    ]
    return found


def _exported(root: Path) -> dict[str, str]:
    return {one["name"]: one["sha256"] for one in report(root)["files"]}


def _digests(root: Path) -> dict[tuple[str, str], str]:
    return {
        (manifest["key"], entry["name"]): _digest(root, manifest["key"], entry)
        for manifest in manifests(root)
        for entry in manifest["files"]
    }


def _digest(root: Path, key: str, entry: Mapping[str, Any]) -> str:
    """Return the digest of a file; of JSON without what was measured, which is equal in two runs by chance."""
    if not entry["name"].endswith(".json"):
        return str(entry["sha256"])
    path = Store(root).folder(key) / "files" / entry["name"]
    held = _without_seconds(json.loads(path.read_text(encoding="utf-8")))
    return sha256(json.dumps(held).encode()).hexdigest()


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_seconds(one) for key, one in value.items() if not key.endswith("seconds")
        }
    return [_without_seconds(one) for one in value] if isinstance(value, list) else value
