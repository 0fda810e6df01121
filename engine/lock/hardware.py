"""What a training stood on, as the lock records it: the files of the base model, and the machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.compute.ranks import Ranks, divided, repeated_rows
from engine.environment import Device, version_of
from engine.files.reading import read_json
from engine.process.library_settings import instructions
from engine.recipe.model import Method
from engine.store import Artifact, sha256_of

FILE = "basis.json"
"""In a train artifact."""
TRAINER = "trainer"
"""In it: the versions in the environment that trained, where it is one of its own."""
INSTRUCTIONS = "instructions"
"""Of the hardware: the variables that choose among those of the processor; absent for none."""
RANKS = "world"
"""Of the hardware: the processes that trained together; absent for one."""
WEIGHTS = (".safetensors", ".safetensors.index.json")
TOKENIZER = (
    "tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "chat_template",
)  # fmt: skip
"""How the names of files begin that decide how text becomes tokens."""


def write_basis(
    folder: Path,
    base: Path,
    device: Device,
    trainer: Mapping[str, str],
    ranks: Mapping[str, Any] | None = None,
) -> None:
    """Write the digests of a base model's files, and what the machine is, into an artifact's folder.

    `trainer` are the versions in an environment of its own that trains; nothing where it is this one.
    `ranks` are those of `ranks_facts`.
    """
    machine = hardware(device) | ({RANKS: dict(ranks)} if ranks else {})
    basis: dict[str, Any] = {"base_model": base_files(base), "hardware": machine}
    if trainer:
        basis[TRAINER] = dict(trainer)
    (folder / FILE).write_text(json.dumps(basis, indent=1) + "\n", encoding="utf-8")


def ranks_facts(method: Method, ranks: Ranks, rows: int) -> dict[str, Any]:
    """Return what the lock says of several processes that trained together on `rows` rows; nothing of one."""
    if ranks.size == 1:
        return {}
    return {
        "processes": ranks.size,
        "nodes": ranks.nodes,
        "a_node": ranks.processes,
        "strategy": "fsdp2" if ranks.shard else "ddp",
        "launcher": f"torch.distributed {version_of('torch')}",
        "repeated_rows": repeated_rows(rows, divided(method, ranks), ranks),
    }


def read_basis(train: Artifact) -> dict[str, Any]:
    """Return what a train artifact says that it stood on; empty facts where it says nothing."""
    path = train.path / FILE
    if not path.is_file():
        return {"base_model": {}, "hardware": {}, TRAINER: {}}
    found: dict[str, Any] = read_json(path)
    return {TRAINER: {}, **found}


def base_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file that a model folder is made of, by name."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and is_part(path.name))
    return {name: sha256_of(folder / name) for name in names}


def is_part(name: str) -> bool:
    """Tell whether a file of that name decides what the model is: weights, config or tokenizer."""
    return kind_of(name) == "tokenizer" or name.endswith(WEIGHTS) or name.endswith("config.json")


def kind_of(name: str) -> str:
    """Return `tokenizer` or `base model`, by the name of a file."""
    return "tokenizer" if name.startswith(TOKENIZER) else "base model"


def hardware(device: Device) -> dict[str, Any]:
    """Return what can change bits: kind and name of the device, the machine's kind, instructions that were chosen."""
    # threads are recorded beside these: a reproduction can set their number, and cannot set the
    # machine
    chosen = {INSTRUCTIONS: found} if (found := instructions()) else {}
    return {
        **chosen,
        "device": device.kind,
        "name": device.name,
        "cores": device.cores,
        "machine": platform.machine(),
        "system": platform.system(),
    }
