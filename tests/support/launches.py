"""Recipes and launches for the backend suite: a handful of rows, a tiny real model."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.backends import load_backend
from engine.backends.base import CompileInputs, Launch
from engine.data.examples.example import Example, content_id
from engine.environment import Device
from engine.recipe.methods import method_of
from engine.recipe.model import (
    Acceptance,
    Backend,
    Checks,
    Data,
    Export,
    LabelSpec,
    PathRef,
    Recipe,
    Splits,
    Task,
)
from engine.recipe.validation.schema import definition, with_defaults
from engine.runtime.rendering.chat import load_chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.rendered_files import write_rows
from engine.values import fields, replace
from support.rendered import render_rows

FAIL: Any = "fail"
CPU = Device(kind="cpu", name="a CPU", memory_bytes=1 << 33, cores=2, bf16=False)
TASK = Task(
    kind="classification",
    instruction="positive or negative?",
    system="",
    input="{text}",
    labels=("negative", "positive"),
    schema=None,
    output="text",
)
METHOD = method_of(
    # Through the schema's defaults, so that a new key of `method` is known here too.
    with_defaults(
        {
            "kind": "lora",
            "rank": 4,
            "dropout": 0.0,
            "epochs": 2,
            "learning_rate": 0.01,
            "scheduler": "cosine",
            "warmup_ratio": 0.1,
            "weight_decay": 0.0,
            "batch_size": 8,
            "micro_batch_size": 4,
            "max_length": 128,
            "evaluations_per_epoch": 1,
            "early_stopping": {"patience": 3},
            "gradient_checkpointing": False,
        },
        definition("method"),
    ),
    {"splits": {"validation": 20}},
)


@dataclass
class RecordedProgress:
    """Takes progress and keeps it."""

    updates: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        self.updates.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


def make_recipe(
    name: str, *, precision: Any = "auto", overrides: Any = (), **method: Any
) -> Recipe:
    """A whole recipe for a backend, with changes to its method."""
    return Recipe(
        name="tiny",
        description="",
        file=Path("recipe.yaml"),
        allow_moving=False,
        task=TASK,
        base_model=PathRef(path=Path("base"), written="base"),
        data=Data(
            sources=(),
            shape="columns",
            label=LabelSpec(column="label", relabel=(), bins=(), separator=""),
            answer=None,
            messages=None,
            pair=None,
            sample=None,
            checks=Checks(**dict.fromkeys(_fields(Checks), FAIL)),
        ),
        splits=Splits(by="random", column="", train=24, validation=8, holdout=8, folds=0, seed=7),
        baselines=(),
        stop_if_baseline_passes=False,
        learning_curve=False,
        method=replace(METHOD, **method),
        acceptance=Acceptance(
            confidence=0.95,
            decide_on="point",
            metrics=(),
            over_baselines=(),
            max_overfitting_gap=None,
        ),
        export=Export(
            formats=("safetensors",), quantizations=("Q8_0",), max_drops=(), thresholds=()
        ),
        backend=Backend(name=name, precision=precision, overrides=tuple(overrides)),
    )


def examples(count: int, *, start: int = 0) -> list[Example]:
    """Sentences whose class is in one word."""
    made = []
    for number in range(start, start + count):
        label = ("negative", "positive")[number % 2]
        text = f"film {number} was {'good' if number % 2 else 'bad'}"
        made.append(
            Example(
                id=content_id(text, label), origin=f"rows.csv:{number}", input=text, target=label
            )
        )
    return made


def make_launch(
    recipe: Recipe,
    folder: Path,
    base_model: Path,
    *,
    validation: int = 8,
    device: Device = CPU,
) -> Launch:
    """Render 24 training rows and some validation rows, and compile."""
    chat = load_chat(base_model)
    rows = folder / "rows"
    rows.mkdir(parents=True, exist_ok=True)
    for split, count, start in (("train", 24, 0), ("validation", validation, 100)):
        rendering = render_rows(
            examples(count, start=start),
            task=recipe.task,
            chat=chat,
            limits=LengthLimits(max_length=recipe.method.max_length, truncation="fail"),
        )
        write_rows(rows / f"{split}.jsonl", rendering.rows)
    setting = CompileInputs(
        device=device,
        precision=device.precision(recipe.backend.precision),
        train_rows=24,
        validation_rows=validation,
    )
    return Launch(
        config=load_backend(recipe.backend.name).compile(recipe, setting).text,
        rows=rows,
        base_model=base_model,
        folder=folder / "launch",
        method=recipe.method,
        setting=setting,
        progress=RecordedProgress(),
    )


def _fields(kind: type) -> list[str]:
    return [item.name for item in fields(kind)]
