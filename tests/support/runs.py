"""Reading what runs leave, and taking single stages out of a store again."""

import json
import shutil
from pathlib import Path
from typing import Any

from engine.files.digests import sha256_of
from engine.stages import STAGES
from engine.store import Store

PLAIN = tuple(
    name
    for name in STAGES
    if name
    not in (
        "synthesize",
        "teach",
        "replay",
        "soft_targets",
        "sweep",
        "resample",
        "forgetting",
        "drift",
    )
    and name not in ("seeds", "answers_only")
)
"""The stages of every recipe: without teacher, replay, sweep, learning curve, folds, probes, drift, further seeds."""
AFTER_GATE = ("merge", "quantize", "verify")


def run_folders(root: Path) -> list[Path]:
    """Folders of finished runs, oldest first."""
    records = (root / "runs").glob("*/*/run.json")
    return [path.parent for path in sorted(records, key=lambda path: path.stat().st_mtime_ns)]


def report(root: Path) -> dict[str, Any]:
    """The report of the latest run."""
    found: dict[str, Any] = json.loads(
        (run_folders(root)[-1] / "report.json").read_text(encoding="utf-8")
    )
    return found


def statuses(root: Path) -> dict[str, str]:
    """What happened to each stage in the latest run."""
    return {record["stage"]: record["status"] for record in report(root)["stages"]}


def only(ran: str, *, otherwise: str = "reused") -> dict[str, str]:
    """The statuses of a run in which one stage ran."""
    return {name: "ran" if name == ran else otherwise for name in PLAIN}


def manifests(root: Path) -> list[dict[str, Any]]:
    """Every artifact's manifest, in the order they were made."""
    paths = sorted((root / "store").glob("*/*/artifact.json"), key=lambda p: p.stat().st_mtime_ns)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def adapter_digests(root: Path) -> dict[str, str]:
    """Digests of the adapter's files in the only train artifact."""
    (train,) = [manifest for manifest in manifests(root) if manifest["stage"] == "train"]
    return {
        entry["name"]: entry["sha256"]
        for entry in train["files"]
        if entry["name"].startswith("adapter/")
    }


def forget(root: Path, stage: str, *, with_products: bool = True) -> None:
    """Take a stage's artifact out of the store, and what was made once while it ran."""
    gone: list[str] = []
    for manifest in manifests(root):
        gone.append(manifest["key"])
        if manifest["stage"] == stage:
            break
        if manifest["stage"] in STAGES:
            gone.clear()
    for key in gone if with_products else gone[-1:]:
        shutil.rmtree(Store(root).folder(key))


def is_whole(root: Path) -> bool:
    """Tell whether every artifact's bytes are those of its manifest, and nothing else stands in the store."""
    store = Store(root)
    for folder in (root / "store").glob("*/*"):
        artifact = store.get(folder.name)
        if artifact is None:
            return False
        found = {
            path.relative_to(artifact.path).as_posix(): sha256_of(path)
            for path in artifact.path.rglob("*")
            if path.is_file()
        }
        if found != {entry.name: entry.sha256 for entry in artifact.files}:
            return False
    return True


def left_behind(root: Path) -> list[str]:
    """Half-built artifacts that nobody will ever finish."""
    return sorted(path.name for path in (root / "tmp").glob("*"))
