"""One task by every way to make a small model of it: the rows of each way, and its recipe.

All ways share the validation and holdout rows, which a column says; each has the same number of training steps, so that
what differs is what is learned from and what is trained. The teacher learned from further labelled rows that no other
way sees.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml
from results_cases import CASES, CHECKS, Case, Settings
from results_rows import Row, Sources

GOLD: Final = "gold.jsonl"
TUNING: Final = "tuning.jsonl"
POOL: Final = "pool.jsonl"
TIMED: Final = "timed.jsonl"
WITHHELD: Final = "withheld.jsonl"
"""The pool with its labels, which no recipe reads: how often the teacher is right there."""
TEACHER: Final = "teacher"
MODELS: Final = "models"
"""The folder of models that have left, a folder each."""
SPEED: Final = "speed"
"""The recipe that asks every model the same rows, one after another."""
SEED: Final = 7
LONGEST: Final = 80
"""Characters of a headline that is used: short rows leave room for more of them."""
PARITY: Final = 0.9
"""Share of answers that merging an adapter in 16 bits has to keep; unsure models do not reach the default, 0.98."""
STUDENT_RATE: Final = 3e-4
"""Of the student with fewer layers, whose folder does not say how large it is; not tuned on this task."""


def _short(read: Callable[[Sources], Iterable[Row]]) -> Callable[[Sources], Iterator[Row]]:
    return lambda sources: (row for row in read(sources) if len(row["text"]) <= LONGEST)


def headlines() -> Case:
    """Return the task: the set of development of that name, its short rows only."""
    found = next(case for case in CASES if case.name == "headlines")
    return replace(found, read=_short(found.read))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows, and steps of every training."""

    gold: int = 400
    """Labelled rows that every way but the teacher's learns from."""
    validation: int = 100
    holdout: int = 600
    tuning: int = 5000
    """Labelled rows that only the teacher learns from."""
    pool: int = 2000
    """Rows without labels, for the teacher to answer."""
    synthetic: int = 300
    """Rows that the untouched model is asked to write."""
    timed: int = 200
    """Rows of the holdout by which speed is measured."""
    steps: int = 200
    """Of every training but the teacher's, which sees each row once: what the engine gives the labelled rows."""
    batch: int = 16

    @property
    def all(self) -> int:
        """Rows that have to be there."""
        return self.gold + self.validation + self.holdout + self.tuning + self.pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way: what a recipe of it says beside what all have in common."""

    name: str
    title: str
    rows: str = GOLD
    kind: str = "lora"
    method: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, Any] | None = None
    """None for the untouched model."""
    baselines: Sequence[Any] = ("tfidf_svm",)
    teacher: Mapping[str, Any] | None = None
    """Keys of `teacher` beside the model and the rows that it answers."""
    is_synthetic: bool = False


OF_TEACHER: Final = f"{MODELS}/{TEACHER}"
KEEP: Final = {"confidence": {"min": 0.8}}
LORA: Final = "lora"
ANSWERS: Final = "distilled-answers"
SOFT: Final = "distilled-soft"
FEWER: Final = "fewer-layers"
WAYS: Final = (
    Way(
        name=LORA,
        title="LoRA on the labelled rows",
        baselines=("majority", "tfidf_svm", "zero_shot", "few_shot"),
    ),
    Way(name=TEACHER, title="the teacher: LoRA on other labelled rows", rows=TUNING),
    Way(name=ANSWERS, title="LoRA, distilled: the teacher's answers", teacher={}),
    Way(
        name=FEWER,
        title="every third layer of the teacher, full training, its answers",
        kind="full",
        method={"learning_rate": STUDENT_RATE},
        base={"path": OF_TEACHER, "keep_layers": "every_third"},
        teacher={},
    ),
    Way(name="full", title="full training on the labelled rows", kind="full"),
    Way(
        name=SOFT,
        title="LoRA, distilled: the teacher's probabilities",
        teacher={"targets": "soft", "temperature": 2.0, "weight": 0.9},
    ),
    Way(name="synthetic", title="LoRA on labelled and synthetic rows", is_synthetic=True),
)
"""In the order in which they are run: a teacher before its students."""


def write_rows(case: Case, sources: Sources, sizes: Sizes, folder: Path) -> tuple[str, ...]:
    """Write the files of rows and return the labels. ValueError where the set has too few."""
    found = replace(case, sizes=(sizes.all, 0, 0)).rows(sources)
    if len(found) < sizes.all:
        raise ValueError(f"{len(found):,} of {sizes.all:,} rows are there")
    rows = iter(found)
    parts = {
        name: [next(rows) for _ in range(count)]
        for name, count in (
            ("holdout", sizes.holdout),
            ("validation", sizes.validation),
            ("gold", sizes.gold),
            ("tuning", sizes.tuning),
            ("pool", sizes.pool),
        )
    }
    judging = [*_marked(parts, "validation"), *_marked(parts, "holdout")]
    files: dict[str, list[Row]] = {
        GOLD: [*_marked(parts, "gold", "train"), *judging],
        TUNING: [*_marked(parts, "tuning", "train"), *judging],
        POOL: [{"text": row["text"]} for row in parts["pool"]],
        WITHHELD: parts["pool"],
        TIMED: [
            *_marked(parts, "gold", "train"),
            *_marked(parts, "validation"),
            *_marked(parts, "holdout")[: sizes.timed],
        ],
    }
    for name, written in files.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in written)
        (folder / name).write_text("".join(lines), encoding="utf-8")
    return case.labels(found)


def _marked(parts: Mapping[str, Sequence[Row]], name: str, split: str = "") -> list[Row]:
    return [{**row, "split": split or name} for row in parts[name]]


def recipe_of(
    way: Way, case: Case, *, labels: Sequence[str], sizes: Sizes, settings: Settings
) -> str:
    """Return the text of a way's recipe, which stands beside the files of rows and the folder of models.

    Its only bound is one that every model reaches: a table is made of what they measure.
    """
    own = {"path": OF_TEACHER}
    steps = sizes.tuning // sizes.batch if way.rows == TUNING else sizes.steps
    recipe = _common(case, labels, settings) | {
        "name": way.name,
        "description": f"{case.title}: {way.title}.",
        "base_model": dict(way.base or settings.base),
        "baselines": list(way.baselines),
        "method": {
            "kind": way.kind,
            "epochs": 1,
            "min_steps": steps,
            "max_steps": steps,
            "batch_size": sizes.batch,
            "seed": SEED,
            **way.method,
        },
        "export": {"formats": ["safetensors"], "parity": {"agreement": {"min": PARITY}}},
    }
    recipe["data"] = {**recipe["data"], "sources": [{"path": way.rows}]}
    if way.teacher is not None:
        recipe["teacher"] = {
            "model": own,
            "inputs": {"sources": [{"path": POOL}]},
            "keep": KEEP,
            "stop_if_teacher_is_no_better": False,
            **way.teacher,
        }
    if way.is_synthetic:
        recipe["data"]["synthesize"] = {
            "teacher": dict(settings.base),
            "rows": sizes.synthetic,
            "prompt": "Write one {label} newspaper headline in lower case.",
            "keep": {"agreement": {"judge": own}},
            "seed": SEED,
        }
    return _text(recipe)


def speed_recipe(
    names: Sequence[str], case: Case, *, labels: Sequence[str], settings: Settings
) -> str:
    """Return a recipe whose baselines are the models that have left, asked in one process; nothing is trained by it."""
    models = [{"model": {"name": name, "path": f"{MODELS}/{name}"}} for name in names]
    recipe = _common(case, labels, settings) | {
        "name": SPEED,
        "base_model": dict(settings.base),
        "baselines": ["zero_shot", "few_shot", *models],
        "method": {"kind": "lora", "seed": SEED},
    }
    recipe["data"] = {**recipe["data"], "sources": [{"path": TIMED}]}
    return _text(recipe)


def _common(case: Case, labels: Sequence[str], settings: Settings) -> dict[str, Any]:
    return {
        "recipe": "v1",
        "name": "",
        "task": {
            "kind": case.kind,
            "instruction": case.instruction,
            **case.task,
            "labels": list(labels),
        },
        "data": {**case.data, "checks": dict(CHECKS)},
        "splits": {"by": {"column": "split"}, "seed": SEED},
        "stop_if_baseline_passes": False,
        "acceptance": {"metrics": {case.judged_by: {"min": 0.0}}},
        **({"backend": dict(settings.backend)} if settings.backend else {}),
    }


def _text(recipe: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True, width=100)
