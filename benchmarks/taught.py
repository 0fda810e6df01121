"""What rows without labels add where the frozen encoder answers them: `python benchmarks/taught.py`.

Trains the defaults on labelled rows of a development set (`defaults_sets.py`) alone, and on them beside the answers of
`encoder_linear`, trained on the same rows, to texts without labels: as `teacher: {model: encoder_linear}` does. Both
and the teacher are judged by macro-F1 on all rows of the set that are left, at most 1,000; texts without labels come
from the half of the data that tunes no default. `--epochs` is that of the taught model, whose rows are more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from defaults import ROOT, Cell, default_encoder, measure
from defaults_page import TITLES
from defaults_sets import DevelopmentSet, Rows, left_rows, load_set, texts_of_results
from encoders import linear, macro_f1

from engine.runtime.encoders.classifiers import ALONE, BESIDE

MOST = 1000
"""Rows that are judged."""


def main() -> int:
    """Print a line of JSON for each set and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", choices=tuple(TITLES), dest="sets")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--texts", type=int, default=1200)
    parser.add_argument("--epochs", type=float, default=2.5)
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument(
        "--store", type=Path, default=ROOT / ".recipe", help="of the base model and the encoder"
    )
    options = parser.parse_args()
    for seed in options.seed or (1,):
        for name in options.sets or ("banking", "snips"):
            line = {"set": name, "rows": options.rows, "seed": seed}
            found = compare(name, options, seed=seed)
            sys.stdout.write(f"{json.dumps(line | found)}\n")
            sys.stdout.flush()
    return 0


def compare(name: str, options: argparse.Namespace, *, seed: int) -> dict[str, Any]:
    """Return macro-F1 of the model without and with taught rows, and of the teacher."""
    rows = load_set(name, rows=options.rows, seed=seed)
    judged = left_rows(name, rows)[:MOST]
    texts = texts_of_results(name)[: options.texts]
    asked: Rows = [*((text, "") for text in texts), *judged]
    answers = linear(default_encoder(options.store), rows.train, asked, (ALONE, BESIDE))
    taught = [*rows.train, *zip(texts, answers, strict=False)]
    random.Random(seed).shuffle(taught)  # noqa: S311 - repeatable
    plain = train(replace(rows, test=judged), name, options.store, changes={}, seed=seed)
    changes = {"epochs": options.epochs}
    beside = replace(rows, train=taught, test=judged)
    return {
        "texts": len(texts),
        "judged": len(judged),
        "plain": plain,
        "taught": train(beside, name, options.store, changes=changes, seed=seed),
        "teacher": round(macro_f1(answers[len(texts) :], judged), 4),
    }


def train(
    rows: DevelopmentSet, name: str, store: Path, *, changes: dict[str, Any], seed: int
) -> dict[str, float]:
    """Train with the defaults, but for changes; return macro-F1 on the test rows, steps and CPU seconds."""
    cell = Cell(set=name, rows=len(rows.train), seed=seed, changes=json.dumps(changes))
    found = measure(cell, rows, store)
    of_interest = {"last": "macro_f1", "steps": "steps", "cpu_seconds": "cpu_seconds"}
    return {called: found[key] for key, called in of_interest.items()}


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        # The number of threads decides how sums are rounded, so every training has one.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.exit(main())
