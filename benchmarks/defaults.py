"""The grid that the defaults of `method` come of: `python benchmarks/defaults.py run`, then `table`.

Each cell trains the quickstart's base model with the trl backend on one core, on rows of a development set
(`defaults_sets.py`), keeps each epoch's adapter, and asks the last and the one of lowest validation loss the same 300
rows, by the probability of the labels. The first setting is the middle of the grid; each other one changes one key
of it. Results are lines of JSON in `defaults.jsonl`; a cell that stands there is not trained again.
`cheap` prints what the linear baselines score on the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from defaults_sets import SETS, DevelopmentSet, load_set
from launching import Silent, examples_of, make_launch

from engine.backends import load_backend
from engine.environment import detect_device
from engine.recipe import load_recipe
from engine.recipe.model import Method, Recipe

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("defaults.jsonl")
MIDDLE: dict[str, Any] = {
    "rank": 16,
    "alpha": 32,
    "epochs": 5.0,
    "learning_rate": 1e-3,
    "batch_size": 8,
    "warmup_ratio": 0.05,
    "scheduler": "cosine",
    "weight_decay": 0.0,
    "dropout": 0.0,
    "target_modules": "all_linear",
}
OTHERS: tuple[dict[str, Any], ...] = (
    {"learning_rate": 5e-4},
    {"learning_rate": 2e-3},
    {"batch_size": 16},
    {"epochs": 3.0},
    {"epochs": 8.0},
    {"batch_size": 16, "learning_rate": 2e-3},
    {"batch_size": 4},
    {"rank": 8, "alpha": 16},
    {"rank": 32, "alpha": 64},
    {"scheduler": "linear"},
    {"warmup_ratio": 0.1},
    {"target_modules": "attention"},
    {"weight_decay": 0.01},
)
"""Keys in which a setting is not the middle one."""
BEFORE: dict[str, Any] = {"epochs": 3.0, "learning_rate": 2e-4, "batch_size": 16, "dropout": 0.05}
"""The defaults of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One training."""

    set: str
    rows: int
    seed: int
    changes: str
    """Keys that are not the middle's, as JSON; `{}` is the middle."""


def main() -> int:
    """Train cells, or print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("run", "table", "cheap"))
    parser.add_argument("--set", action="append", choices=tuple(SETS), dest="sets")
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--setting", action="append", help="JSON of changed keys; all by default")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--store", type=Path, default=ROOT / ".recipe", help="of the base model and the encoder"
    )
    options = parser.parse_args()
    if options.verb == "table":
        for line in table(read(options.results)):
            _say(line)
        return 0
    if options.verb == "cheap":
        for name in options.sets or SETS:
            for line in _cheap(name, options):
                _say(line)
        return 0
    known = options.setting or [json.dumps(one) for one in ({}, *OTHERS, BEFORE)]
    settings = [json.dumps(json.loads(one), sort_keys=True) for one in known]
    wanted = [
        Cell(set=name, rows=rows, seed=seed, changes=changes)
        for seed in options.seed or (1, 2, 3)
        for rows in options.rows or (400,)
        for changes in settings
        for name in options.sets or SETS
    ]
    for cell in wanted:
        if not any(_is_of(line, cell) for line in read(options.results)):
            text = json.dumps(asdict(cell) | measure(cell, options.store))
            with options.results.open("a", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
            _say(text)
    return 0


def read(path: Path) -> list[dict[str, Any]]:
    """Return the cells that were trained."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def table(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a Markdown table for each number of rows: macro-F1 of each setting by set, the mean over seeds."""
    for rows in sorted({line["rows"] for line in lines}):
        here = [line for line in lines if line["rows"] == rows]
        names = [name for name in SETS if any(line["set"] == name for line in here)]
        by_cell = defaultdict(list)
        for line in here:
            by_cell[line["changes"], line["set"]].append(line)
        yield f"\n{rows} training rows; macro-F1 of the last step, mean over seeds (how many)\n"
        yield f"| setting | {' | '.join(names)} | mean | best epoch instead | CPU s |"
        yield "|---|" + "---|" * (len(names) + 3)
        for changes in dict.fromkeys(line["changes"] for line in here):
            found = [by_cell[changes, name] for name in names]
            means = [_mean(one, "last") for one in found if one]
            cells = [f"{_mean(one, 'last'):.3f} ({len(one)})" if one else "" for one in found]
            of_all = [line for one in found for line in one]
            chosen = [line for line in of_all if line["best"] is not None]
            whole = len(means) == len(names)
            ends = (
                f"{statistics.mean(means):.3f}" if whole else "",
                f"{_mean(chosen, 'best') - _mean(chosen, 'last'):+.3f}" if chosen else "",
                f"{_mean(of_all, 'cpu_seconds'):.0f}",
            )
            yield f"| {_words(changes)} | {' | '.join((*cells, *ends))} |"


def _cheap(name: str, options: argparse.Namespace) -> Iterator[str]:
    """Yield what the linear baselines score on the rows that the cells of a set are judged by."""
    from encoders import CPU, linear, timed

    from engine.recipe.baselines import DEFAULT_ENCODER
    from engine.runtime.encoders.encoder import load_encoder
    from engine.runtime.encoders.folder import locate_encoder
    from engine.runtime.encoders.linear import ALONE, BESIDE
    from engine.runtime.text.svm import tfidf_svm
    from engine.store import Store

    folder = locate_encoder(DEFAULT_ENCODER, Store(options.store).cached, Silent())
    encoder = load_encoder(folder, device=CPU, precision="fp32")
    for rows in options.rows or (400,):
        for seed in options.seed or (1, 2, 3):
            found = load_set(name, rows=rows, seed=seed)
            texts, labels = zip(*found.train, strict=True)
            asked = [text for text, _ in found.test]
            ways = {
                "tfidf_svm": partial(tfidf_svm, texts, labels, asked, seed=seed),
                "encoder_linear": partial(
                    linear, encoder, found.train, found.test, (ALONE, BESIDE)
                ),
            }
            scores = (f"{way} {timed(ask, found.test)}" for way, ask in ways.items())
            yield f"{name}, {rows} rows, seed {seed}: {', '.join(scores)}"


def _words(changes: str) -> str:
    found = json.loads(changes)
    return ", ".join(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
                     for key, value in found.items()) or "middle"  # fmt: skip


def _mean(lines: Sequence[dict[str, Any]], name: str) -> float:
    return statistics.mean(float(line[name]) for line in lines)


def _is_of(line: dict[str, Any], cell: Cell) -> bool:
    return all(line[key] == value for key, value in asdict(cell).items())


def measure(cell: Cell, store: Path) -> dict[str, Any]:
    """Train a cell; return the scores of the last step and of the step of lowest validation loss, and what it took."""
    from evaluate_model import base_model

    rows = load_set(cell.set, rows=cell.rows, seed=cell.seed)
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
    changed = {**MIDDLE, **json.loads(cell.changes)}
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


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        # The number of threads decides how sums are rounded, so every cell has one.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.exit(main())
