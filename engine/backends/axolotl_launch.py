"""Running Axolotl: what its process is, and what it finds around it (`engine.backends.process_training`).

Its launch folder has `prepared/` besides: the rows as Axolotl prepared them.
"""

from __future__ import annotations

from typing import Any

from engine.backends import process_training
from engine.backends.base import Launch, Trained
from engine.backends.nodes import CONFIG, LAUNCH, OUTPUT
from engine.backends.process_training import (
    SHARDED,
    TrainingProgram,
    as_yaml,
    ranks_config,
)
from engine.process import start as processes

PREPARED = "prepared"
FOLDERS = (OUTPUT, PREPARED)
# Nothing is sent.
SET_VARIABLES: dict[str, str] = {"AXOLOTL_DO_NOT_TRACK": "1"}
# Without it accelerate looks for a GPU for each process.
ON_CPU: dict[str, str] = {"ACCELERATE_USE_CPU": "true"}
ROWS_AND_PASSES = ("micro_batch_size", "gradient_accumulation_steps")
"""How the config calls the rows of a pass and the passes of a step."""
SEVERAL = "engine.runtime.axolotl_plugin.SeveralProcesses"
SHARE_PREFIX = "engine.runtime.axolotl_plugin.SharePrefix"


def train(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint. StageError B411-B414, B420-B423."""
    return process_training.train(launch, _program(launch))


def _program(launch: Launch) -> TrainingProgram:
    together = launch.ranks.size > 1
    name = LAUNCH if together else CONFIG
    return TrainingProgram(
        tool="axolotl",
        # It finds the checkpoint itself.
        command=lambda _: processes.module("engine.backends.axolotl_child")(name),
        variables=environment(launch),
        folders=FOLDERS,
        config=as_yaml(config_of_ranks(launch)) if together else None,
        imports="engine.runtime.axolotl_plugin",
    )


def environment(launch: Launch) -> dict[str, str]:
    """Return the whole environment of the process: what it needs of ours, and what we decide."""
    on_cpu = launch.ranks.size > 1 and launch.setting.device.kind == "cpu"
    return process_training.environment(launch, SET_VARIABLES | (ON_CPU if on_cpu else {}))


def config_of_ranks(launch: Launch) -> dict[str, Any]:
    """Return the config as one of several processes takes it."""
    config = ranks_config(launch, ROWS_AND_PASSES)
    plugins: list[str] = [*config["plugins"], SEVERAL]
    if launch.ranks.shard:
        # Parts of weights can neither be fused nor looked at by themselves, so batches are plain.
        plugins = [name for name in plugins if name != SHARE_PREFIX]
        config |= {"fsdp_version": 2, "fsdp_config": SHARDED}
    return {**config, "plugins": plugins}
