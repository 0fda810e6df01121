"""A whole small project for tests: its recipe, its rows, and the command run in process."""

import csv
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

GOOD = ("good", "fine", "lovely", "great", "happy")
BAD = ("bad", "poor", "awful", "dull", "sad")
THINGS = ("film", "plot", "cast", "song", "ending", "scene", "story", "score", "camera", "joke")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with a recipe, and the command to run in it."""

    folder: Path
    run: Callable[..., Outcome]

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    def edit(self, **changes: Any) -> None:
        """Set keys by dotted path with `__` between parts; None takes a key out."""
        fields = yaml.safe_load(self.recipe.read_text(encoding="utf-8"))
        for path, value in changes.items():
            *parents, last = path.split("__")
            node = fields
            for part in parents:
                node = node.setdefault(part, {})
            if value is None:
                node.pop(last, None)
            else:
                node[last] = value
        self.recipe.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")


def rows(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """Different sentences of two classes that a small model can tell apart."""
    draw = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        words, label = draw.choice([(GOOD, "positive"), (BAD, "negative")])
        first, second = draw.sample(THINGS, 2)
        text = f"the {first} was {draw.choice(words)} and the {second} {draw.choice(words)}"
        found.setdefault(f"{text} {draw.randrange(99)}", label)
    return list(found.items())


BASE: Mapping[str, Any] = {
    "recipe": "v1",
    "name": "tiny",
    "description": "Tell good from bad.",
    "task": {
        "kind": "classification",
        "instruction": "positive or negative?",
        "input": "{text}",
        "labels": ["negative", "positive"],
        "output": "text",
    },
    "base_model": {"path": "base"},
    "data": {
        "sources": [{"path": "rows.csv"}],
        "label": {"column": "label"},
        "checks": {"leakage": "warn"},  # the made-up rows are much alike
    },
    "splits": {"by": "stratified", "train": 60, "validation": 20, "holdout": 40, "seed": 7},
    "baselines": ["majority", "tfidf_svm", "zero_shot"],
    "stop_if_baseline_passes": False,
    "method": {
        "kind": "lora",
        "rank": 4,
        "alpha": 8,
        "epochs": 2,
        "learning_rate": 5e-3,
        "batch_size": 8,
        "max_length": 128,
        "evaluations_per_epoch": 2,
    },
    "acceptance": {"metrics": {"macro_f1": {"min": 0.01}}},
    "export": {"formats": ["safetensors"]},
    "backend": {"name": "trl", "precision": "fp32"},
}


def write_rows(folder: Path, count: int) -> None:
    """Write so many rows in the place of those that are there."""
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows(count)])


def write_project(folder: Path, model: Path) -> None:
    """Write rows, and a recipe that trains the model within seconds."""
    (folder / "base").symlink_to(model)
    write_rows(folder, 140)
    text = yaml.safe_dump(dict(BASE), sort_keys=False)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
