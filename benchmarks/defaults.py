"""The grid that the defaults of `method` come of: `python benchmarks/defaults.py run`, `baselines`, then `page`.

Each cell trains the quickstart's base model with the trl backend on one core, on rows of a development set
(`defaults_sets.py`), keeps each epoch's adapter, and asks the last and the one of lowest validation loss the same 300
rows, by the probability of the labels. The first setting is the defaults; each other one changes one key or two.
Results are lines of JSON in `defaults.jsonl`; a cell that stands there is not trained again. `baselines` asks
the linear ones the same rows (`defaults_baselines.jsonl`), `page` writes both into `docs/explanation/defaults.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from defaults_page import BASELINES, DEFAULT, TITLES, Line, read_lines, with_grid
from defaults_sets import DevelopmentSet, load_set
from launching import Silent, examples_of, make_launch

from engine.backends import load_backend
from engine.environment import detect_device
from engine.recipe import load_recipe
from engine.recipe.model import Method, Recipe
from engine.values import replace, to_json

if TYPE_CHECKING:
    from engine.runtime.encoders.encoder import Encoder

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("defaults.jsonl")
OF_BASELINES = Path(__file__).with_name("defaults_baselines.jsonl")
PAGE = ROOT / "docs" / "explanation" / "defaults.md"
SIZES, SEEDS = (200, 400, 800), (1, 2, 3)
DEFAULTS: dict[str, Any] = {
    "rank": 16,
    "alpha": 32,
    "epochs": 8.0,
    "learning_rate": 1e-3,
    "batch_size": 8,
    "warmup_ratio": 0.05,
    "scheduler": "cosine",
    "weight_decay": 0.0,
    "dropout": 0.0,
    "target_modules": "all_linear",
}
CHANGES: tuple[dict[str, Any], ...] = (
    {"learning_rate": 5e-4},
    {"learning_rate": 2e-3},
    {"batch_size": 4},
    {"batch_size": 16},
    {"epochs": 5.0},
    {"epochs": 16.0},
    {"rank": 8, "alpha": 16},
    {"rank": 32, "alpha": 64},
    {"alpha": 16},
    {"scheduler": "linear"},
    {"warmup_ratio": 0.1},
    {"weight_decay": 0.01},
    {"dropout": 0.1},
    {"target_modules": "attention"},
)
"""Keys in which a setting differs from the defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Rows that are drawn of a set."""

    set: str
    rows: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell(Place):
    """One training."""

    changes: str
    """Keys that are not the defaults', as JSON."""


def main() -> int:
    """Train cells or ask the baselines, or write what they came to into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("run", "baselines", "page"))
    parser.add_argument("--set", action="append", choices=tuple(TITLES), dest="sets")
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--setting", action="append", help="JSON of changed keys; all by default")
    parser.add_argument(
        "--store", type=Path, default=ROOT / ".recipe", help="of the base model and the encoder"
    )
    options = parser.parse_args()
    if options.verb == "page":
        page = with_grid(PAGE.read_text("utf-8"), read_lines(RESULTS), read_lines(OF_BASELINES))
        PAGE.write_text(page, encoding="utf-8")
        return 0
    places = [
        Place(set=name, rows=rows, seed=seed)
        for seed in options.seed or SEEDS
        for rows in options.rows or SIZES
        for name in options.sets or TITLES
    ]
    if options.verb == "baselines":
        for place in places:
            if not _is_known(OF_BASELINES, to_json(place)):
                _keep(OF_BASELINES, to_json(place) | ask_baselines(place, options.store))
        return 0
    known = options.setting or [DEFAULT, *map(json.dumps, CHANGES)]
    for changes in (json.dumps(json.loads(one), sort_keys=True) for one in known):
        for place in places:
            cell = Cell(**to_json(place), changes=changes)
            if not _is_known(RESULTS, to_json(cell)):
                rows = load_set(cell.set, rows=cell.rows, seed=cell.seed)
                _keep(RESULTS, to_json(cell) | measure(cell, rows, options.store))
    return 0


def _is_known(path: Path, place: dict[str, Any]) -> bool:
    return any(place.items() <= line.items() for line in read_lines(path))


def _keep(path: Path, line: Line) -> None:
    text = json.dumps(line)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{text}\n")
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def ask_baselines(place: Place, store: Path) -> dict[str, float]:
    """Return the macro-F1 of the linear baselines on the rows that the cells of a set are judged by."""
    from encoders import linear, macro_f1

    from engine.runtime.encoders.classifiers import ALONE, BESIDE
    from engine.runtime.text.tfidf import fit_svm

    found = load_set(place.set, rows=place.rows, seed=place.seed)
    encoder = default_encoder(store)
    texts, labels = zip(*found.train, strict=True)
    answers = (
        [
            *fit_svm(texts, np.array(labels), seed=place.seed).answers(
                [one for one, _ in found.test]
            )
        ],
        linear(encoder, found.train, found.test, (ALONE, BESIDE)),
    )
    scores = (round(macro_f1(one, found.test), 4) for one in answers)
    return dict(zip(BASELINES, scores, strict=True))


def default_encoder(store: Path) -> Encoder:
    """Return the encoder of a recipe that names none."""
    from encoders import CPU

    from engine.recipe.baselines import DEFAULT_ENCODER
    from engine.runtime.encoders.encoder import load_encoder, locate_encoder
    from engine.store import Store

    folder = locate_encoder(DEFAULT_ENCODER, Store(store).cached, Silent())
    return load_encoder(folder, device=CPU, precision="fp32")


def measure(cell: Cell, rows: DevelopmentSet, store: Path) -> dict[str, Any]:
    """Train a cell on its rows; return the scores of its last step and lowest validation loss, and what it took."""
    from evaluate_model import base_model

    recipe = _recipe(cell, rows)
    base = base_model(store)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        splits = {"train": rows.train, "validation": rows.validation}
        launch = make_launch(recipe, splits, base, Path(folder), truncation="cut")
        trained = load_backend("trl").train(launch)
        seconds = time.process_time() - started
        last = max(step for step, _ in trained.checkpoints)
        kept = {
            step: found for step, found in trained.checkpoints if step in {last, trained.kept_step}
        }
        scores = {step: _score(recipe, rows, base, found) for step, found in kept.items()}
    losses = [one.loss for one in trained.history if one.loss is not None]
    validation = [one.eval_loss for one in trained.history if one.eval_loss is not None]
    return {
        "last": scores[last],
        # only some of many checkpoints are kept
        "best": scores.get(trained.kept_step),
        "best_step": trained.kept_step,
        "steps": trained.steps,
        "loss": round(statistics.mean(losses[-10:]), 4),
        "validation": [round(one, 4) for one in validation],
        "shared": "difference" in trained.facts.get("shared_prefix", {}),
        "tokens": trained.usage.steps.tokens,
        "step_seconds": round(trained.usage.steps.cpu_seconds, 1),
        "cpu_seconds": round(seconds, 1),
    }


def _recipe(cell: Cell, rows: DevelopmentSet) -> Recipe:
    """Return the quickstart's recipe with the task and the method of a cell."""
    recipe, _ = load_recipe(ROOT / "recipes" / "quickstart.yaml")
    changed = {**DEFAULTS, **json.loads(cell.changes)}
    method: Method = replace(
        recipe.method,
        **changed,
        micro_batch_size=changed["batch_size"],
        evaluations_per_epoch=1,
        keep="best",
        seed=cell.seed,
    )
    backend = replace(recipe.backend, name="trl", overrides=())
    return replace(recipe, task=rows.task, method=method, backend=backend)


def _score(recipe: Recipe, rows: DevelopmentSet, base: Path, adapter: Path) -> float:
    """Return the macro-F1 of an adapter on the test rows."""
    from engine.inference import predict
    from engine.metrics.predictions import Judging
    from engine.metrics.scoring import score
    from engine.runtime.models.load import load_model

    device = detect_device()
    loaded = load_model(base, device=device, precision=device.precision("auto"), adapter=adapter)
    asked = predict.PredictionInputs.of(recipe, examples_of(rows.train))
    predictions = predict.judged(loaded, asked, examples_of(rows.test), progress=Silent())
    scores = score(predictions, Judging.of(recipe))
    (found,) = (one for one in scores.metrics if one.name == "macro_f1")
    return round(found.value or 0.0, 4)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        # The number of threads decides how sums are rounded, so every cell has one.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.exit(main())
