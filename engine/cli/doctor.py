"""Show what this machine has and what is missing, by lookup, without importing anything heavy."""

import argparse
import os
import platform
import shutil
from pathlib import Path

from engine import __version__
from engine.backends import unsloth
from engine.cli.output import show_result, store_of
from engine.environment import EXTRAS, detect_device, unsloth_python, version_of
from engine.errors import ExitCode, install_hint
from engine.process.confine import available
from engine.render.number_format import counted

ENOUGH_DISK_BYTES = 5_000_000_000
"""Base model, checkpoints, merged model and GGUF of a 135 M model, with room to spare."""

USED_BY = {
    "bundle": "bundles and their signatures",
    "mcp": "`recipe mcp`",
    "mlflow": "tracking",
    "onnx": "`export.formats: [onnx]`",
    "ray": "profiles with `engine: ray`",
    "serve": "`recipe serve`",
    "store": "a shared store",
    "tensorboard": "tracking",
    "trackio": "tracking",
    "wandb": "tracking",
}
"""Extras that a run does without unless it is asked for what they are for."""

Row = tuple[str, bool, str]


def doctor(options: argparse.Namespace) -> int:
    """Return 0 when everything a default run needs is there, else 3."""
    rows = [*_machine(store_of(options)), *_extras(), *_llama_cpp(), _unsloth()]
    missing = [row for row in rows if not row[1]]
    checks = [{"what": what, "ok": ok, "found": found} for what, ok, found in rows]
    fields = {"schema": "doctor.v1", "ok": not missing, "checks": checks}
    width = max(len(what) for what, _, _ in rows)
    lines = [f"{'ok' if ok else '--':<4}{what:<{width}}  {found}" for what, ok, found in rows]
    end = "everything a run needs is there"
    if missing:
        # the extras in one command; the rest is no matter of packages
        extras = [what[7:-1] for what, _, _ in missing if what.startswith("extra [")]
        end = f"{len(missing)} missing" + (f": {install_hint(','.join(extras))}" if extras else "")
    show_result(options, fields, "\n".join([*lines, "", end]))
    return ExitCode.FAILED if missing else ExitCode.ACCEPTED


def _machine(root: Path) -> list[Row]:
    device = detect_device()
    # The store may not be there yet: then the nearest folder that is lies on the same disk.
    existing = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    bf16 = "bfloat16 native" if device.bf16 else "bfloat16 not native: fp32 is used"
    is_writable = os.access(existing, os.W_OK)
    ranks = "several processes of one training share its cores"
    if device.kind == "cuda":
        ranks = "one process a GPU; several GPUs, and shard: true, were never run by us"
    return [
        ("recipe", True, f"{__version__} on Python {platform.python_version()}"),
        ("device", True, f"{device.kind}: {device.name}, {counted(device.cores, 'core')}, {bf16}"),
        ("--on NAME", True, ranks),
        ("memory", True, f"{device.memory_bytes / 2**30:.0f} GiB"),
        ("disk", free >= ENOUGH_DISK_BYTES, f"{free / 1e9:.0f} GB free where the store is"),
        ("store", is_writable, f"{root} {'can' if is_writable else 'cannot'} be written"),
        # Not a thing that is missing: on other systems a run goes on without it.
        ("confined", True, available().words),
    ]


def _extras() -> list[Row]:
    rows = []
    for extra, distributions in EXTRAS.items():
        found = {name: version_of(name) for name in distributions}
        absent = [name for name, version in found.items() if version is None]
        text = ", ".join(f"{name} {version}" for name, version in found.items())
        if absent:
            text = f"missing {', '.join(absent)}: {install_hint(extra)}"
            if use := USED_BY.get(extra):
                text = f"not installed; for {use}: {install_hint(extra)}"
        rows.append((f"extra [{extra}]", not absent or extra in USED_BY, text))
    return rows


def _llama_cpp() -> list[Row]:
    configured = os.environ.get("LLAMA_CPP_DIR")
    if not configured:
        return [("llama.cpp", True, "the packaged one (set LLAMA_CPP_DIR to use your own)")]
    there = Path(configured).is_dir()
    lacks = "" if there else ": no such folder"
    return [("llama.cpp", there, f"your own, from LLAMA_CPP_DIR{lacks}")]


def _unsloth() -> Row:
    if unsloth_python() is None:
        return ("unsloth", True, "none (set UNSLOTH_PYTHON for backend: {name: unsloth})")
    return ("unsloth", unsloth.version() == unsloth.PINNED, unsloth.environment_words())
