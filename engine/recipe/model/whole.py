"""The whole recipe, and what it waives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.recipe.model.acceptance import Acceptance
from engine.recipe.model.baselines import Baseline
from engine.recipe.model.data import Data
from engine.recipe.model.export import Export
from engine.recipe.model.method import Backend, Method
from engine.recipe.model.references import Reference
from engine.recipe.model.splits import Splits
from engine.recipe.model.sweep import Sweep
from engine.recipe.model.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A way in which evidence got weaker, and that is meant."""

    what: str
    """The key that was changed, or the code of the finding."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that can change the model, and nothing else."""

    name: str
    description: str
    file: Path
    """Where the recipe was read."""
    extends: str = ""
    """The parent, as the recipe names it; what it says is merged in. Empty for none."""
    allow_moving: bool
    task: Task
    base_model: Reference
    data: Data
    splits: Splits
    baselines: tuple[Baseline, ...]
    stop_if_baseline_passes: bool
    learning_curve: bool
    """Train on 25 and 50 % of the rows too."""
    method: Method
    """With a sweep: what its settings change."""
    acceptance: Acceptance
    export: Export
    backend: Backend
    sweep: Sweep | None = None
    """None: `method` is the one that is trained."""
    waivers: tuple[Waiver, ...] = ()
    """They change nothing but what review and report say."""
