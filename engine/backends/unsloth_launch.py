"""Running Unsloth: the Python of its own environment, and what its process finds around it."""

from __future__ import annotations

from pathlib import Path

from engine.backends import process_training
from engine.backends.base import Launch, Trained
from engine.backends.nodes import CONFIG
from engine.backends.process_training import TrainingProgram
from engine.environment import Device, unsloth_python
from engine.errors import StageError
from engine.process import start as processes
from engine.process.start import Command

CHILD = Path(__file__).with_name("unsloth_child.py")


def train(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint. StageError B411-B414, B420-B423, B440."""
    python = unsloth_python()
    if python is None:
        raise StageError.one("B440", "Unsloth has no environment: UNSLOTH_PYTHON names no Python")

    def command(resume: str | None) -> Command:
        # -I: neither this environment's packages nor the folder's modules are in reach of the other Python.
        words = ("-I", "-u", "-X", "utf8", str(CHILD), CONFIG)
        return processes.program(python)(*words, *([resume] if resume else []))

    program = TrainingProgram(tool="unsloth", command=command, variables=environment(launch))
    return process_training.train(launch, program)


def environment(launch: Launch) -> dict[str, str]:
    """Return the whole environment of the process: what it needs of ours, and what we decide."""
    return process_training.environment(launch, variables_for(launch.setting.device))


def variables_for(device: Device) -> dict[str, str]:
    """Return the switches of Unsloth: nothing is sent, and the device is the planned one or none."""
    on_cpu = device.kind == "cpu"
    return {
        "UNSLOTH_DISABLE_STATISTICS": "1",
        # Of images, which nothing here trains on: it refuses pairs of torch and torchvision that it does not know.
        "UNSLOTH_SKIP_TORCHVISION_CHECK": "1",
        "UNSLOTH_FORCE_CPU" if on_cpu else "UNSLOTH_DISABLE_CPU_FALLBACK": "1",
    }
