"""What is done: one module a stage, in the order of the pipeline. This table is the table of contents."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from engine.stages.base import Stage

STAGES: tuple[str, ...] = (
    "data",
    "baseline",
    "compile",
    "train",
    "evaluate",
    "gate",
    "merge",
    "quantize",
    "verify",
)
"""`report` follows them all, whatever happened; it reads records and is not stored by key."""

PRODUCTS: dict[str, str] = {"holdout": "data"}
"""Inner products that other stages may need by name, and the stage that makes them."""


def load_stage(name: str) -> Stage:
    """The module of a stage, imported on use."""
    return cast("Stage", importlib.import_module(f"engine.stages.{name}"))
