"""How Axolotl and Unsloth are started, each in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.backends import process_training
from engine.backends.base import Launch, Trained
from engine.backends.nodes import CHILD, CONFIG, LAUNCH, OUTPUT
from engine.backends.process_training import SHARDED, TrainingProgram, ranks_config
from engine.environment import Device, unsloth_python
from engine.errors import StageError
from engine.process import start as processes

PREPARED = "prepared"
"""In Axolotl's launch folder: the rows as it prepared them."""
PLUGINS = "engine.runtime.axolotl_plugin"


def train_axolotl(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint. StageError B411-B414, B420-B423."""
    together = launch.ranks.size > 1
    on_cpu = together and launch.setting.device.kind == "cpu"
    name = LAUNCH if together else CONFIG
    program = TrainingProgram(
        tool="axolotl",
        # It finds the checkpoint itself.
        command=lambda _: processes.module(CHILD)("axolotl", name),
        # Nothing is sent; and without the second one accelerate looks for a GPU for each process.
        variables={"AXOLOTL_DO_NOT_TRACK": "1"}
        | ({"ACCELERATE_USE_CPU": "true"} if on_cpu else {}),
        folders=(OUTPUT, PREPARED),
        config=axolotl_ranks(launch) if together else None,
        imports=PLUGINS,
    )
    return process_training.train(launch, program)


def axolotl_ranks(launch: Launch) -> dict[str, Any]:
    """Return the config as one of several processes takes it."""
    config = ranks_config(launch, "micro_batch_size")
    plugins: list[str] = [*config["plugins"], f"{PLUGINS}.SeveralProcesses"]
    if launch.ranks.shard:
        # Parts of weights can neither be fused nor looked at by themselves, so batches are plain.
        plugins = [name for name in plugins if name != f"{PLUGINS}.SharePrefix"]
        config |= {"fsdp_version": 2, "fsdp_config": SHARDED}
    return {**config, "plugins": plugins}


def train_unsloth(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint. StageError B411-B414, B420-B423, B440."""
    python = unsloth_python()
    if python is None:
        raise StageError.one("B440", "Unsloth has no environment: UNSLOTH_PYTHON names no Python")

    def command(resume: str | None) -> processes.Command:
        # -I: neither this environment's packages nor the folder's modules are in reach of the other Python.
        words = (
            "-I",
            "-u",
            "-X",
            "utf8",
            str(Path(__file__).with_name("child.py")),
            "unsloth",
            CONFIG,
        )
        return processes.program(python)(*words, *([resume] if resume else []))

    variables = unsloth_variables(launch.setting.device)
    return process_training.train(
        launch, TrainingProgram(tool="unsloth", command=command, variables=variables)
    )


def unsloth_variables(device: Device) -> dict[str, str]:
    """Return the switches of Unsloth: nothing is sent, and the device is the planned one or none."""
    return {
        "UNSLOTH_DISABLE_STATISTICS": "1",
        # Of images, which nothing here trains on: it refuses pairs of torch and torchvision that it does not know.
        "UNSLOTH_SKIP_TORCHVISION_CHECK": "1",
        "UNSLOTH_FORCE_CPU" if device.kind == "cpu" else "UNSLOTH_DISABLE_CPU_FALLBACK": "1",
    }
