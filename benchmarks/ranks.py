"""End one of two processes of a training again and again, and compare the bytes with those of one process.

    PYTHONPATH=tests python benchmarks/ranks.py --kills 50 --seed 1 [--backend axolotl] [--signal TERM]

A random two-layer model is trained on 24 rows for as many epochs as the kills need. Each time 3 to 9 more steps are
done, one of the processes, drawn by the seed, is ended by SIGKILL, and the training goes on by itself (`retries`).
With `--signal TERM` the training as a whole is asked to end, which saves and ends, and is started again. It must come
to the bytes of one process, and one that was asked to end may lose 2 steps at most. Ends with 1 where it did not.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from engine.backends import load_backend
from engine.backends.base import Launch
from engine.backends.trainer_state import checkpoints
from engine.compute.ranks import Ranks
from engine.process import interrupts
from support.launches import RecordedProgress, make_launch, make_recipe
from support.pico import make_pico_model
from support.processes import ranks_of
from support.shared import open_shared_folder

STEPS_AN_EPOCH = 3
BETWEEN = (3, 9)
"""Steps from one kill to the next."""


@dataclass
class Ending(RecordedProgress):
    """Progress that ends a process when as many steps are done as were drawn."""

    draw: random.Random = field(default_factory=random.Random)
    left: int = 0
    number: int = signal.SIGKILL
    at: int = 4
    ended_at: list[int] = field(default_factory=list)

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:  # noqa: ARG002 - the contract
        """Look whether it is time."""
        if unit != "step" or done < self.at or not self.left:
            return
        self.left -= 1
        self.ended_at.append(done)
        self.at = done + self.draw.randint(*BETWEEN)
        if self.number == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)
        else:
            os.kill(self.draw.choice(ranks_of(os.getpid())), self.number)


def main() -> int:
    """Run it, and print a line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", choices=("axolotl", "trl"), default="trl")
    parser.add_argument("--signal", choices=("KILL", "TERM"), default="KILL")
    given = parser.parse_args()
    open_shared_folder()
    with tempfile.TemporaryDirectory() as folder:
        return _play(Path(folder), given)


def _play(folder: Path, given: argparse.Namespace) -> int:
    base = make_pico_model(folder / "base")
    epochs = float(2 + given.kills * BETWEEN[1] // STEPS_AN_EPOCH)
    recipe = make_recipe(given.backend, epochs=epochs, early_stopping=None, keep="last")
    whole = load_backend(given.backend).train(make_launch(recipe, folder / "one", base))
    number = getattr(signal, f"SIG{given.signal}")
    progress = Ending(draw=random.Random(given.seed), left=given.kills, number=number)  # noqa: S311
    launch = dataclasses.replace(
        make_launch(recipe, folder / "two", base),
        ranks=Ranks(processes=2, retries=given.kills),
        progress=progress,
    )
    began = time.monotonic()
    adapter, lost = _trained(given.backend, launch, progress)
    expected = sha256((whole.folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    wrong = [f"{steps} steps lost" for steps in lost if steps > 2]
    wrong += [] if adapter == expected else [f"{adapter[:16]} and not {expected[:16]}"]
    print(
        f"{len(progress.ended_at)} x SIG{given.signal} at steps {progress.ended_at} of {whole.steps}"
    )
    print(
        f"{time.monotonic() - began:.0f} s; steps lost {lost or 'as saved'}; wrong: {wrong or 'nothing'}"
    )
    return bool(wrong)


def _trained(backend: str, launch: Launch, progress: Ending) -> tuple[str, list[int]]:
    """Train until it is done; return the adapter's digest, and the steps that each ending has lost."""
    lost = []
    while True:
        try:
            with interrupts.handled():
                trained = load_backend(backend).train(launch)
        except interrupts.Interrupted:
            saved = checkpoints(launch.folder / "output")
            lost.append(max(0, progress.ended_at[-1] - (saved[-1][0] if saved else 0)))
            continue
        return sha256((trained.folder / "adapter_model.safetensors").read_bytes()).hexdigest(), lost


if __name__ == "__main__":
    sys.exit(main())
