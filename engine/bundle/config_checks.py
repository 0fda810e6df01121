"""Whether the compiled config of a bundle is what its recipe asks the backend for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.backends import load_backend
from engine.backends.base import CompileInputs
from engine.bundle.contents import CONFIG, Contents
from engine.environment import Device
from engine.errors import EngineError, RecipeError
from engine.recipe.text.source import parse_source
from engine.values import brief_text

OF_METHOD: Final = frozenset(
    f"method.{name}"
    for name in (
        *("kind", "rank", "alpha", "dropout", "dora", "rslora", "ranks", "layers", "train_only"),
        *("loss_on", "max_length", "epochs", "learning_rate", "scheduler", "weight_decay"),
        *("loraplus_lr_ratio", "neftune_alpha", "seed"),
    )
)
"""Origins of keys of a compiled config that say the same on every device and for any number of rows."""
OF_PRECISION: Final = "precision"
OF_ROWS: Final = ("max_steps",)
ANY_DEVICE: Final = Device(kind="cpu", name="", memory_bytes=0, cores=1, bf16=True)


def config_problems(found: Contents) -> Iterator[str]:
    """Yield the keys of the compiled config that are not what the recipe's method gives."""
    recipe, training = found.recipe, found.report.training
    # a sweep chose a setting that the recipe does not say; another version may compile otherwise
    if training is None or recipe.sweep is not None or not found.is_of_this_version:
        return
    data = found.report.data
    rows = {one.name: one.rows for one in data.splits} if data else {}
    setting = CompileInputs(
        device=ANY_DEVICE,
        precision=found.accepted.precision,
        train_rows=training.rows,
        validation_rows=rows.get("validation", 0),
    )
    try:
        right = load_backend(recipe.backend.name).compile(recipe, setting)
    except EngineError:  # what needs a graphics card is not compiled for a processor
        return
    try:
        shown, wanted = map(_parsed, (found.text(CONFIG), right.text))
    except (RecipeError, RecursionError):
        yield f"{CONFIG} is no config of the backend"
        return
    for line in right.lines:
        is_known = line.origin in OF_METHOD and line.key not in OF_ROWS
        if is_known or line.key == OF_PRECISION:
            there, asked = shown.get(line.key), wanted.get(line.key)
            if there != asked:
                yield f"{CONFIG} has `{line.key}` {_shown(there)}, the recipe asks for {_shown(asked)}"


def _parsed(text: str) -> Mapping[str, Any]:
    # as recipes are read: a stranger's YAML holds no aliases that grow
    return parse_source(text.encode(), Path(CONFIG)).value


def _shown(value: object) -> str:
    return brief_text(json.dumps(value, ensure_ascii=True, default=str))
