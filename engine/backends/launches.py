"""How Axolotl and Unsloth are started, each in a process of its own."""

import gc
import json
import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from engine.backends import events, process_training
from engine.backends.base import Launch, Trained
from engine.backends.events import LOG
from engine.backends.nodes import CHILD, CONFIG, LAUNCH, OUTPUT
from engine.backends.process_training import SHARDED, TrainingProgram, ranks_config, train_on
from engine.environment import Device, unsloth_python
from engine.errors import EngineError, StageError, first_line
from engine.failures import as_engine_error
from engine.process import start as processes
from engine.process.start import give_back

SFT = "engine.runtime.training.sft"
WORLD_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where accelerate looks for the number of processes (`PartialState`)."""


def train_trl(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint.

    StageError: B411 the trainer failed, B412 no whole checkpoint, B413 it stopped before its time, B414 a loss that
    is not a number, B420-B423 it is not the training that was planned.
    """
    refuse_other_processes(os.environ)
    if launch.ranks.size > 1 or launch.ranks.ray:
        words = ("trl", LAUNCH, launch.setting.device.kind)
        program = TrainingProgram(
            tool="trl",
            command=lambda resume: processes.module(CHILD)(*words, *([resume] if resume else ())),
            config=config_of_ranks(launch),
            imports=SFT,
        )
        return process_training.train(launch, program)
    process_training.prepare(launch)
    # Before the time is taken.
    import_module(SFT)
    output = launch.folder / OUTPUT
    output.mkdir(exist_ok=True)

    def run(resume: Path | None, monitor: events.TrainingMonitor) -> None:
        _run_here(launch, output, resume, monitor)

    return train_on(launch, output, run, cpu_seconds=time.process_time)


def config_of_ranks(launch: Launch) -> dict[str, Any]:
    config = ranks_config(launch, "per_device_train_batch_size")
    if launch.ranks.shard:
        # Parts of weights can neither be fused nor looked at by themselves, so batches are plain.
        config.pop("shared_prefix", None)
        config |= {"fsdp": True, "fsdp_config": {"version": 2, **SHARDED}}
    return config


def refuse_other_processes(variables: Mapping[str, str]) -> None:
    """StageError B420 when a launcher has started this process as one of several that train together.

    The trainer would wait for the others, or share rows with them.
    """
    for name in WORLD_SIZES:
        found = variables.get(name, "")
        if found.isdecimal() and int(found) > 1:
            raise StageError.one(
                "B420",
                f"this process was started as one of {found} ({name}); one process with one device was planned",
                path="backend",
                hint="start `recipe` by itself, not under torchrun, srun or accelerate launch",
            )


def _run_here(
    launch: Launch, output: Path, resume: Path | None, monitor: events.TrainingMonitor
) -> None:
    sft: Any = import_module(SFT)

    def report(event: Mapping[str, Any]) -> None:
        # Opened for each event, so that the log is whole up to the last one when the process is killed.
        with (launch.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(event) + "\n")
        monitor.handle(event)

    folders = sft.Folders(
        rows=launch.rows,
        base_model=launch.base_model,
        output=output,
        resume=resume,
        targets=launch.targets,
    )
    config = yaml.safe_load(launch.config)
    try:
        sft.train(config, folders, device=launch.setting.device, report=report)
    except EngineError:
        raise
    except Exception as error:
        full = as_engine_error(error, launch.folder)
        # Memory, sizes of files and a tokenizer beyond the embedding: another try or checkpoint would not help.
        if full is not None and full.problems[0].code in ("E740", "E742", "X693"):
            raise full from error
        # A damaged checkpoint can raise anything.
        begins = resume is not None and not monitor.done
        if full is None and not begins and not isinstance(error, RuntimeError | ValueError):
            raise
        raise StageError.one(
            "B411",
            f"trl failed {monitor.where}: {first_line(error)}",
            hint="lower method.micro_batch_size if memory ran out; running again continues "
            "from the last checkpoint",
        ) from error
    finally:
        # A trainer and its callbacks refer to each other: until they are looked for, weights and optimizer stay.
        gc.collect()
        give_back()


PREPARED = "prepared"
PLUGINS = "engine.runtime.axolotl_plugin"


def train_axolotl(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint. StageError B411-B414, B420-B423."""
    together = launch.ranks.size > 1
    name, variables = LAUNCH if together else CONFIG, {"AXOLOTL_DO_NOT_TRACK": "1"}
    if together and launch.setting.device.kind == "cpu":
        # Else accelerate looks for a GPU for each process.
        variables["ACCELERATE_USE_CPU"] = "true"
    program = TrainingProgram(
        tool="axolotl",
        # It finds the checkpoint itself.
        command=lambda _: processes.module(CHILD)("axolotl", name),
        variables=variables,
        folders=(OUTPUT, PREPARED),
        config=axolotl_ranks(launch) if together else None,
        imports=PLUGINS,
    )
    return process_training.train(launch, program)


def axolotl_ranks(launch: Launch) -> dict[str, Any]:
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
    child = str(Path(__file__).with_name("training_process.py"))
    # -I: neither this environment's packages nor the folder's modules are in reach of the other Python.
    words = ("-I", "-u", "-X", "utf8", child, "unsloth", CONFIG)
    program = TrainingProgram(
        tool="unsloth",
        command=lambda resume: processes.program(python)(*words, *([resume] if resume else [])),
        variables=unsloth_variables(launch.setting.device),
    )
    return process_training.train(launch, program)


def unsloth_variables(device: Device) -> dict[str, str]:
    """Return the switches of Unsloth: nothing is sent, and the device is the planned one or none."""
    return {
        "UNSLOTH_DISABLE_STATISTICS": "1",
        # Of images, which nothing here trains on: it refuses pairs of torch and torchvision that it does not know.
        "UNSLOTH_SKIP_TORCHVISION_CHECK": "1",
        "UNSLOTH_FORCE_CPU" if device.kind == "cpu" else "UNSLOTH_DISABLE_CPU_FALLBACK": "1",
    }
