"""Trainings with soft targets of a tiny teacher, on the rows of the backend suite."""

import json
from pathlib import Path
from typing import Any

from engine.backends.base import Launch, Trained
from engine.recipe.baselines import baseline
from engine.recipe.model import Recipe, SoftTargets, Teacher, TeacherInputs
from engine.runtime.models.load import load_model
from engine.runtime.rendering.chat import load_chat
from engine.runtime.rendering.rendered_files import IGNORED, trained_rows
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.scoring.likelihood import packs
from engine.runtime.training.soft_targets import Targets, row_key, targets_of, write_table
from engine.values import replace
from support.launches import CPU, make_launch, make_recipe

MOST = 16
ALL_ROWS: dict[str, Any] = {"batch_size": 24, "micro_batch_size": 8}
"""Of `method`: one step has all rows, so that their order does not matter."""
THREE_STEPS: dict[str, Any] = {**ALL_ROWS, "epochs": 3.0}


def soft_recipe(
    backend: str, *, temperature: float = 2.0, weight: float = 0.5, **method: Any
) -> Recipe:
    """Return a recipe of the backend suite that learns the probabilities of a teacher."""
    recipe = make_recipe(
        backend,
        precision="fp32",
        **{"epochs": 1.0, "early_stopping": None, "keep": "last", **method},
    )
    teacher = Teacher(
        model=baseline({"model": {"name": "teacher", "path": "teacher"}}, Path()),
        inputs=TeacherInputs(sources=(), rows=0),
        min_confidence=None,
        stop_if_teacher_is_no_better=False,
        soft=SoftTargets(temperature=temperature, weight=weight),
    )
    return replace(recipe, teacher=teacher)


def soft_launch(recipe: Recipe, folder: Path, student: Path, teacher: Path) -> Launch:
    """Render the rows, ask the teacher for its probabilities, and compile."""
    launch = make_launch(recipe, folder, student, device=replace(CPU, cores=1))
    whole = recipe.method.loss_on == "everything"
    rows = read_rows(launch.rows / "train.jsonl", student, learn_all=whole)
    found = asked(rows, teacher)
    targets = folder / "targets"
    targets.mkdir()
    write_table(targets, [*found], [*found.values()])
    return replace(launch, targets=targets)


def read_rows(path: Path, base: Path, *, learn_all: bool = False) -> list[dict[str, list[int]]]:
    """Return rendered rows as trainers read them."""
    chat = load_chat(base)
    lines = path.read_text(encoding="utf-8").splitlines()
    return trained_rows([*map(json.loads, lines)], chat, learn_all=learn_all)


def asked(
    rows: list[dict[str, list[int]]], teacher: Path, *, most: int = MOST
) -> dict[bytes, Targets]:
    """Return what a teacher says of rows."""
    loaded = load_model(teacher, device=CPU, precision="fp32")
    tokens = [
        TokenRow(
            ids=tuple(row["input_ids"]),
            learned=tuple(label != IGNORED for label in row["labels"]),
        )
        for row in rows
    ]
    found: dict[bytes, Targets] = {}
    for members, pack in packs(loaded, tokens):
        targets = targets_of(loaded, pack, most=most, vocabulary=len(loaded.chat.tokenizer))
        found |= {row_key(rows[member]): one for member, one in zip(members, targets, strict=True)}
    return found


def first_loss(trained: Trained) -> float:
    """Return the loss of the first optimizer step."""
    return next(point.loss for point in trained.history if point.loss is not None)
