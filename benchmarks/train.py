"""Training steps whose rows share their common start, beside the plain way: `python benchmarks/train.py`.

Both train the same rows of the same recipe with the same base model (the quickstart's) on one core: ours as
compiled by default, all rows of a step at once; the plain way as before, eight rows at once, padded, which a
writer gets by saying `attn_implementation`. Processor seconds of the steps after the first are compared, since
other work on the machine changes wall clocks; the goal is 85 % of the ratio of tokens.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.backends.usage import Usage
from engine.evidence import TrainingSummary, from_json
from engine.training.train import SUMMARY, USAGE

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
BATCH, STEPS, VALIDATION, HOLDOUT = 16, 4, 16, 40
GOAL = 0.85
HEADS = (
    "rows", "backend", "tokens a step, plain", "shared", "times fewer", "CPU s a step, plain", "shared",
    "times less", "of the tokens' ratio", "peak MB, plain", "shared", "gradients, off", "loss, off",
)  # fmt: skip

Pair = tuple[str, str]
"""A text and its label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rows, and how they are asked about."""

    name: str
    instruction: Callable[[list[str]], str] = lambda _: ""
    rows: Callable[[], Iterator[Pair]] | None = None
    """None: those of the quickstart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What one training took, and what it says of itself."""

    usage: Usage
    summary: TrainingSummary

    @property
    def tokens(self) -> float:
        """Of a step after the first."""
        return self.usage.steps.tokens / self.usage.steps.count

    @property
    def seconds(self) -> float:
        """Of all threads' processors, in a step after the first."""
        return self.usage.steps.cpu_seconds / self.usage.steps.count


def main() -> int:
    """Train the chosen cases both ways and print a table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--backend", action="append", choices=("trl", "axolotl"))
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"))
    parser.add_argument("--store", type=Path, help="a store to keep (default: a temporary one)")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    _say(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    shares = []
    with tempfile.TemporaryDirectory() as temporary:
        store = options.store or Path(temporary) / "store"
        for case in CASES:
            if options.only not in case.name:
                continue
            for backend in options.backend or ("trl", "axolotl"):
                folder = Path(temporary) / f"{case.name.split()[0]}-{backend}"
                plain, shared = (
                    _train(case, folder / way, store, backend, options.precision, way)
                    for way in ("plain", "shared")
                )
                shares.append(_line(case.name, backend, plain, shared))
    return 0 if shares and min(shares) >= GOAL else 1


def _line(name: str, backend: str, plain: Trained, shared: Trained) -> float:
    """Print a line of the table; return which share of the tokens' ratio the processor time reached."""
    tokens, seconds = plain.tokens / shared.tokens, plain.seconds / shared.seconds
    start = shared.summary.shared_start
    off = "plain" if start is None or not start.used else f"{start.difference:.1e}"
    pairs = zip(_losses(plain), _losses(shared), strict=True)
    apart = max(abs(one - other) / one for one, other in pairs)
    cells = (
        name, backend, f"{plain.tokens:.0f}", f"{shared.tokens:.0f}", f"{tokens:.2f}",
        f"{plain.seconds:.2f}", f"{shared.seconds:.2f}", f"{seconds:.2f}", f"{seconds / tokens:.0%}",
        f"{plain.usage.peak_bytes / 1e6:.0f}", f"{shared.usage.peak_bytes / 1e6:.0f}", off, f"{apart:.1e}",
    )  # fmt: skip
    _say(f"| {' | '.join(cells)} |")
    return seconds / tokens


def _losses(trained: Trained) -> list[float]:
    return [point.loss for point in trained.summary.history if point.loss is not None]


def _train(
    case: Case, folder: Path, store: Path, backend: str, precision: str, way: str
) -> Trained:
    folder.mkdir(parents=True)
    recipe = _recipe(case, folder, backend, precision, way)
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
    command = ["-m", "engine", "run", str(file), "--store", str(store), "--until", "train", "-q"]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    found = max(store.glob(f"store/*/*/files/{USAGE}"), key=lambda path: path.stat().st_mtime_ns)
    summary = found.with_name(SUMMARY).read_text(encoding="utf-8")
    return Trained(
        usage=from_json(Usage, json.loads(found.read_text(encoding="utf-8"))),
        summary=from_json(TrainingSummary, json.loads(summary)),
    )


def _recipe(case: Case, folder: Path, backend: str, precision: str, way: str) -> dict[str, Any]:
    """Return the quickstart's recipe with a training of `STEPS` steps, on the rows of the case."""
    recipe: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))
    plain = {"overrides": {"attn_implementation": "sdpa"}} if way == "plain" else {}
    sizes = {"train": BATCH * STEPS, "validation": VALIDATION, "holdout": HOLDOUT}
    if case.rows is not None:
        drawn = random.Random(7)  # noqa: S311 - a choice of rows, no secret
        rows = drawn.sample(sorted(set(case.rows())), sum(sizes.values()))
        with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])
        labels = sorted({label for _, label in rows})
        recipe["task"] |= {"instruction": case.instruction(labels), "labels": labels}
        recipe["data"] = {"sources": [{"path": "rows.csv"}], "label": {"column": "label"}}
    checks = ("duplicates", "conflicting_labels", "leakage", "imbalance")
    recipe["data"]["checks"] = dict.fromkeys(checks, "warn")
    method = {
        "kind": "lora",
        "rank": 16,
        "alpha": 32,
        "dropout": 0.0,
        "epochs": 1,
        "max_length": 1024,
    }
    micro = BATCH // 2 if way == "plain" else BATCH
    return recipe | {
        "name": f"shared-start-{way}",
        "splits": {"by": "random", **sizes, "seed": 7},
        "baselines": ["majority"],
        "method": method | {"batch_size": BATCH, "micro_batch_size": micro},
        "acceptance": {"metrics": {"accuracy": {"min": 0.5}}},
        "export": {"formats": ["safetensors"]},
        "backend": {"name": backend, "precision": precision, **plain},
    }


def _banking() -> Iterator[Pair]:
    with (DATA / "banking77" / "train.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield row["text"], row["category"]


def _snips() -> Iterator[Pair]:
    texts, labels = (
        (DATA / "snips" / "train" / name).read_text(encoding="utf-8").splitlines()
        for name in ("seq.in", "label")
    )
    yield from zip(texts, labels, strict=True)


def _headlines() -> Iterator[Pair]:
    with gzip.open(
        DATA / "sarcasm_headlines" / "headlines.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        for line in lines:
            row = json.loads(line)
            yield row["text"], ("serious", "sarcastic")[int(row["label"])]


def _listed(labels: list[str]) -> str:
    return (
        f"Which of these does the customer ask for? Answer with one of them: {', '.join(labels)}."
    )


CASES = (
    Case(name="banking77, labels listed", instruction=_listed, rows=_banking),
    Case(name="snips", instruction=lambda _: "What does the user want?", rows=_snips),
    Case(name="snippets of the quickstart"),
    Case(
        name="headlines",
        instruction=lambda _: "Is this headline sarcastic or serious?",
        rows=_headlines,
    ),
)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
