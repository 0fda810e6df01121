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
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from defaults import ROOT, Cell, make_recipe, score_of
from defaults_page import TITLES
from defaults_sets import DevelopmentSet, Rows, left_rows, load_set, texts_of_results
from encoders import CPU, linear, macro_f1
from evaluate_model import base_model
from launching import Silent, make_launch

from engine.backends import load_backend
from engine.recipe.baselines import DEFAULT_ENCODER
from engine.runtime.encoders.encoder import load_encoder
from engine.runtime.encoders.folder import locate_encoder
from engine.runtime.encoders.linear import ALONE, BESIDE
from engine.store import Store

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
    folder = locate_encoder(DEFAULT_ENCODER, Store(options.store).cached, Silent())
    encoder = load_encoder(folder, device=CPU, precision="fp32")
    asked: Rows = [*((text, "") for text in texts), *judged]
    answers = linear(encoder, rows.train, asked, (ALONE, BESIDE))
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
    recipe, base = make_recipe(cell, rows), base_model(store)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        splits = {"train": rows.train, "validation": rows.validation}
        launch = make_launch(recipe, splits, base, Path(folder), truncation="cut")
        trained = load_backend("trl").train(launch)
        seconds = time.process_time() - started
        _, adapter = max(trained.checkpoints)
        score = score_of(recipe, rows, base, adapter)
    return {"macro_f1": score, "steps": trained.steps, "cpu_seconds": round(seconds)}


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        # The number of threads decides how sums are rounded, so every training has one.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.exit(main())
