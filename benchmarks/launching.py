"""A training of given rows by a backend, without a run around it. Light until it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.backends import load_backend
from engine.backends.base import CompileInputs, Launch
from engine.data.examples.example import Example, content_id
from engine.environment import detect_device
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import LengthLimits

Rows = Sequence[tuple[str, str]]
"""(text, label)."""


class Silent:
    """Takes progress."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Take it."""

    def note(self, text: str) -> None:
        """Take it."""


def examples_of(rows: Rows) -> list[Example]:
    """Return rows as the engine reads them."""
    return [
        Example(id=content_id(text, label), origin=f"row {number}", input=text, target=label)
        for number, (text, label) in enumerate(rows)
    ]


def make_launch(
    recipe: Recipe, splits: Mapping[str, Rows], base: Path, folder: Path, *, truncation: str
) -> Launch:
    """Write the rows of `train` and `validation` into the folder and compile the recipe for them."""
    from engine.runtime.rendering.chat import load_chat
    from engine.runtime.rendering.render_stats import RenderStats
    from engine.runtime.rendering.rendered_files import write_rows
    from engine.runtime.rendering.renderer import Renderer

    chat, device = load_chat(base), detect_device()
    limits = LengthLimits(max_length=recipe.method.max_length, truncation=truncation)
    for split, rows in splits.items():
        rendered = Renderer(chat, recipe.task, limits).rendered(examples_of(rows), RenderStats())
        write_rows(folder / f"{split}.jsonl", rendered)
    setting = CompileInputs(
        device=device,
        precision=device.precision(recipe.backend.precision),
        train_rows=len(splits["train"]),
        validation_rows=len(splits["validation"]),
    )
    return Launch(
        config=load_backend(recipe.backend.name).compile(recipe, setting).text,
        rows=folder,
        base_model=base,
        folder=folder / "launch",
        method=recipe.method,
        setting=setting,
        progress=Silent(),
    )
