"""The trainings of `benchmarks/gpu.py`: made-up rows, and a recipe for each path."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("lora", "qlora", "full")
BACKENDS = ("trl", "axolotl")
WAYS = ("shared", "plain")
"""As compiled by default, rows sharing their common start; and as `attn_implementation: sdpa` asks, each by itself."""
LABELS = ("delivery", "invoice", "account", "device")
INSTRUCTION = "Which team takes the message? " + " ".join(
    f"Team {label} takes what is about a broken, late, lost, wrong, doubled or unwanted {label}, "
    f"questions on how a {label} works and what it costs, and praise of it."
    for label in LABELS
)
"""Most of what a row has in common with the others, as where a prompt lists many labels."""
WORDS = (
    "the", "my", "a", "this", "parcel", "order", "bill", "login", "screen", "battery", "never", "still", "always",
    "came", "works", "failed", "again", "today", "please", "thanks", "twice", "wrong", "open", "money",
)  # fmt: skip
VALIDATION, HOLDOUT = 16, 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of the engine."""

    path: str
    """`trl/lora`, …: what `--only` chooses by."""
    way: str
    """One of `WAYS`."""

    @property
    def name(self) -> str:
        """Of the job in the results."""
        return f"{self.path} {self.way}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much each job trains."""

    steps: int
    batch: int


def jobs() -> Iterator[Job]:
    """Yield all: the cheapest method first, with Axolotl and with TRL."""
    for kind in KINDS:
        for backend in BACKENDS:
            yield from (Job(path=f"{backend}/{kind}", way=way) for way in WAYS)


def base_model(given: str) -> dict[str, Any]:
    """Return a recipe's `base_model` of a folder, of `owner/name` or `owner/name@commit`; empty: the quickstart's."""
    if not given:
        quickstart = yaml.safe_load((ROOT / "recipes" / "quickstart.yaml").read_text("utf-8"))
        base: dict[str, Any] = quickstart["base_model"]
        return base
    if Path(given).exists():
        return {"path": str(Path(given).resolve())}
    name, _, commit = given.partition("@")
    return {"hub": name, **({"revision": commit} if commit else {})}


def write_project(folder: Path, job: Job, base: dict[str, Any], size: Size) -> Path:
    """Write rows and recipe of a job, and return the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    train = size.steps * size.batch
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *_rows(train + VALIDATION + HOLDOUT)])
    path = folder / "recipe.yaml"
    fields = _recipe(job, base, size)
    path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return path


def _recipe(job: Job, base: dict[str, Any], size: Size) -> dict[str, Any]:
    backend, _, kind = job.path.partition("/")
    return {
        "recipe": "v1",
        "name": job.path.replace("/", "-"),
        "allow_moving": True,
        "task": {
            "kind": "classification", "labels": list(LABELS), "output": "text",
            "instruction": INSTRUCTION, "input": "{text}",
        },
        "base_model": base,
        "data": {
            "sources": [{"path": "rows.csv"}],
            "label": {"column": "label"},
            "checks": {"leakage": "off", "near_duplicates": "off", "duplicates": "off"},
        },
        "splits": {
            "by": "stratified", "seed": 7,
            "train": size.steps * size.batch, "validation": VALIDATION, "holdout": HOLDOUT,
        },
        "baselines": ["majority"],
        "stop_if_baseline_passes": False,
        "method": {
            "kind": kind, "epochs": 1, "batch_size": size.batch, "micro_batch_size": size.batch, "max_length": 1024,
            "evaluations_per_epoch": 1, "seed": 7,
            **({"rank": 16, "dropout": 0.0} if kind != "full" else {}),
        },
        "acceptance": {"metrics": {"accuracy": {"min": 0.01}}},
        "export": {"formats": ["safetensors"]},
        "backend": {
            "name": backend,
            **({"overrides": {"attn_implementation": "sdpa"}} if job.way == "plain" else {}),
        },
    }  # fmt: skip


def _rows(count: int) -> Iterator[tuple[str, str]]:
    draw = random.Random(7)  # noqa: S311 - rows, not secrets
    for number in range(count):
        words = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(8, 24)))
        yield f"{words} {number}", LABELS[number % len(LABELS)]
