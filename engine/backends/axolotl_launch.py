"""Running Axolotl: what its process is, and what it finds around it (`engine.backends.process_training`).

Its launch folder has `prepared/` besides: the rows as Axolotl prepared them.
"""

from __future__ import annotations

from engine.backends import process_training
from engine.backends.base import Launch, Trained
from engine.backends.process_training import CONFIG, OUTPUT, TrainingProgram
from engine.process import start as processes

PREPARED = "prepared"
FOLDERS = (OUTPUT, PREPARED)
# Nothing is sent.
SET_VARIABLES: dict[str, str] = {"AXOLOTL_DO_NOT_TRACK": "1"}


def train(launch: Launch) -> Trained:
    """Train, or go on from the last complete checkpoint. StageError B411-B414, B420-B423."""
    program = TrainingProgram(
        tool="axolotl",
        # It finds the checkpoint itself.
        command=lambda _: processes.module("engine.backends.axolotl_child")(CONFIG),
        variables=environment(launch),
        folders=FOLDERS,
    )
    return process_training.train(launch, program)


def environment(launch: Launch) -> dict[str, str]:
    """Return the whole environment of the process: what it needs of ours, and what we decide."""
    return process_training.environment(launch, SET_VARIABLES)
