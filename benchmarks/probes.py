"""What a base model answers of the built-in probes: the share right by kind, and how long asking takes.

`python benchmarks/probes.py MODEL [MODEL ...]`: folders with safetensors. Chance is 0.25, 0.25 and 0.50. A
set that a model answers by chance, or without a mistake, could not show what training took from it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NoReturn

from engine.data.probes import ProbeItem, probe_items
from engine.environment import detect_device
from engine.metrics.forgetting import ProbeAnswer
from engine.recipe.model import Probe
from engine.runtime.models.load import load_model
from engine.runtime.scoring.likelihood import continuations


class Quiet:
    """A progress that nobody watches."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""


def nothing(*_: object) -> NoReturn:
    """Built-in probes fetch nothing."""
    raise AssertionError


def answered(folder: Path, items: tuple[ProbeItem, ...], precision: str) -> list[ProbeAnswer]:
    """Ask one model every item."""
    loaded = load_model(folder, device=detect_device(), precision=precision)
    options = [(before, continuation) for item in items for before, continuation in item.options]
    found = iter(continuations(loaded, options, progress=Quiet()))
    return [
        ProbeAnswer(
            id=item.id,
            probe=item.probe,
            kind=item.kind,
            gold=item.gold,
            scores=tuple(-next(found) for _ in item.options),
            lengths=tuple(len(continuation.strip().encode()) for _, continuation in item.options),
        )
        for item in items
    ]


def main() -> None:
    """Print one line a model and kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    arguments = parser.parse_args()
    items = probe_items(
        Probe(name="builtin", kind="builtin"), seed=0, cached=nothing, progress=Quiet()
    )
    for folder in arguments.models:
        started = time.process_time()
        found = answered(folder, items, arguments.precision)
        seconds = time.process_time() - started
        for kind in dict.fromkeys(item.kind for item in items):
            rights = [item.is_right for item in found if item.kind == kind]
            print(
                f"{folder.name:24} {kind:16} {sum(rights):4} of {len(rights)}  {sum(rights) / len(rights):.3f}"
            )
        right = sum(one.is_right for one in found)
        print(f"{folder.name:24} all: {right} of {len(found)}, {seconds:.0f} CPU-s with loading")


if __name__ == "__main__":
    main()
