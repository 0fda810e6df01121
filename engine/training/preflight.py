"""What is refused before anything is spent on a base model: damage, and what the method or the export cannot take.

Looked at once for the same bytes; what was found is kept.
"""

from __future__ import annotations

import json
from pathlib import Path

from engine.artifacts.results import read_json
from engine.artifacts.stage import StageContext
from engine.environment import version_of
from engine.errors import Severity, StageError
from engine.recipe.model import FewerLayers, Scratch
from engine.recipe.sweeps import methods_of
from engine.training.fit import refuse_unfit

FACTS = "base_check.json"
VOCABULARY_REVISION = 2
"""Bumped when the same vocabulary would now be judged otherwise."""


def check_base_model(context: StageContext, base: Path) -> None:
    """Refuse a base model in the folder `base` that cannot be what it says; note what is merely odd.

    Raises:
        StageError: X604, X692, X693, X770, X771, X773, X774, X843, X845, X846 what the files hold; X772, X844 what
            the GGUF converter and llama.cpp do not know; X621, X730, X731 what the method asks of it.

    """
    from engine.runtime.models import base_check  # brings torch

    recipe = context.recipe
    for method in methods_of(recipe):
        refuse_unfit(method, base)

    def build(folder: Path) -> None:
        is_blank = isinstance(recipe.base_model, Scratch)
        found = base_check.check_base(base, has_numbers=not is_blank)
        lines = [one.headline() for one in found]
        (folder / FACTS).write_text(json.dumps(lines), encoding="utf-8")

    # A blank model's vocabulary, and so its shapes, may come of the rows.
    rows = context.inputs["data"] if isinstance(recipe.base_model, Scratch) else ""
    payload = {"base_model": context.base_model, "rows": rows, "revision": base_check.REVISION}
    for line in read_json(context.cached("base_check", payload, build), FACTS):
        context.progress.note(str(line))
    if not isinstance(recipe.base_model, Scratch | FewerLayers):
        _check_reading(context, base)
    if recipe.export.has_quantized_file:
        _check_converter(context, base, rows)


def _check_reading(context: StageContext, base: Path) -> None:
    """Refuse settings under which trained weights predict text worse than under others; note what may be so."""
    from engine.runtime.models import reading_check  # brings torch

    def build(folder: Path) -> None:
        found = [
            *reading_check.reading_problems(
                base, device=context.device, precision=context.precision
            )
        ]
        if errors := [one for one in found if one.severity is Severity.ERROR]:
            raise StageError(errors)
        lines = [one.headline() for one in found]
        (folder / FACTS).write_text(json.dumps(lines), encoding="utf-8")

    payload = {
        "base_model": context.base_model,
        "device": context.device.kind,
        "precision": context.precision,
        "revision": reading_check.REVISION,
    }
    for line in read_json(context.cached("reading_check", payload, build), FACTS):
        context.progress.note(str(line))


def _check_converter(context: StageContext, base: Path, rows: str) -> None:
    from engine.parity.files import TOOLS
    from engine.parity.vocabulary import vocabulary_notes
    from engine.runtime.rendering.chat import kept_chat  # brings transformers

    has_turns = context.recipe.task.spec.has_turns

    def build(folder: Path) -> None:
        found = vocabulary_notes(
            base,
            kept_chat(base, asks=has_turns),
            has_turns=has_turns,
            threads=context.device.threads,
            progress=context.progress,
        )
        lines = [one.headline() for one in found]
        (folder / FACTS).write_text(json.dumps(lines), encoding="utf-8")

    versions = {tool: version_of(tool) for tool in TOOLS}
    payload = {
        "base_model": context.base_model,
        "rows": rows,
        "versions": versions,
        "has_turns": has_turns,
        "revision": VOCABULARY_REVISION,
    }
    for line in read_json(context.cached("vocabulary_check", payload, build), FACTS):
        context.progress.note(str(line))
