"""The recipe as a value: frozen, fully resolved, no `None` that means "default".

Mirrors `schemas/recipe.schema.json`; a test walks both and fails on any difference. Each module holds one section of a
recipe; all are imported from here.
"""

from __future__ import annotations

from engine.recipe.model.acceptance import (
    Acceptance,
    Direction,
    Forgetting,
    MaxDrop,
    MinGain,
    Probe,
    Threshold,
)
from engine.recipe.model.baselines import Baseline, BaselineKind, Endpoint
from engine.recipe.model.columns import (
    AnswerSpec,
    Bin,
    LabelSpec,
    MessagesSpec,
    PairSpec,
    SpanSpec,
    TagSpec,
)
from engine.recipe.model.data import CheckAction, Checks, ColumnFile, Data, Sample, Shape, Source
from engine.recipe.model.export import Export
from engine.recipe.model.method import Backend, EarlyStopping, Method
from engine.recipe.model.references import HubRef, Json, Outside, PackageRef, PathRef, Reference
from engine.recipe.model.splits import Size, SplitBy, SplitName, Splits
from engine.recipe.model.sweep import Sweep
from engine.recipe.model.task import Task
from engine.recipe.model.whole import Recipe, Waiver

__all__ = [
    "Acceptance",
    "AnswerSpec",
    "Backend",
    "Baseline",
    "BaselineKind",
    "Bin",
    "CheckAction",
    "Checks",
    "ColumnFile",
    "Data",
    "Direction",
    "EarlyStopping",
    "Endpoint",
    "Export",
    "Forgetting",
    "HubRef",
    "Json",
    "LabelSpec",
    "MaxDrop",
    "MessagesSpec",
    "Method",
    "MinGain",
    "Outside",
    "PackageRef",
    "PairSpec",
    "PathRef",
    "Probe",
    "Recipe",
    "Reference",
    "Sample",
    "Shape",
    "Size",
    "Source",
    "SpanSpec",
    "SplitBy",
    "SplitName",
    "Splits",
    "Sweep",
    "TagSpec",
    "Task",
    "Threshold",
    "Waiver",
]
