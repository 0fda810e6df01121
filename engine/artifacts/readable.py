"""Whether what a stage left can be read back by this version: what others read of it, read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from engine.artifacts.results import read_json
from engine.errors import StoreError
from engine.evidence import (
    CheckpointScore,
    Comparison,
    DataSummary,
    DriftResult,
    ExportedFile,
    ForgettingResult,
    FormResult,
    LearningCurve,
    Scores,
    Seeds,
    SoftAgainstAnswers,
    SoftTargetsResult,
    StartSummary,
    StudentAgainstTeacher,
    SweepResult,
    SyntheticResult,
    TeacherResult,
    TrainingSummary,
    Verdict,
)
from engine.store import Artifact
from engine.values import from_json


class _Folds(TypedDict):
    folds: Scores


class _Verified(TypedDict):
    verdict: Verdict
    ladder: NotRequired[tuple[FormResult, ...]]


READ: Mapping[str, Mapping[str, Any]] = {
    "data": {"summary.json": DataSummary},
    "baseline": {"baselines.json": Any, "svm_curve.json": LearningCurve},
    "synthesize": {"synthetic.json": SyntheticResult, "baselines.json": Any},
    "teach": {"teacher.json": TeacherResult, "baselines.json": Any},
    "soft_targets": {"soft_targets.json": SoftTargetsResult},
    "compile": {"provenance.json": Any},
    "sweep": {"sweep.json": SweepResult, "weights.json": Any},
    "train": {"training.json": TrainingSummary, "start.json": StartSummary},
    "evaluate": {
        "scores.json": dict[str, Scores | None],
        "checkpoints.json": tuple[CheckpointScore, ...],
        "sampling.json": Any,
    },
    "resample": {"curve.json": LearningCurve, "folds.json": _Folds},
    "forgetting": {"forgetting.json": ForgettingResult},
    "drift": {"drift.json": DriftResult},
    "seeds": {"seeds.json": Seeds},
    "answers_only": {"answers_only.json": SoftAgainstAnswers},
    "gate": {"verdict.json": Verdict, "comparisons.json": tuple[Comparison, ...]}
    | {"against_teacher.json": StudentAgainstTeacher}
    | {"without_synthetic.json": tuple[Comparison, ...]},
    "merge": {"merge.json": Any},
    "quantize": {"export.json": tuple[ExportedFile, ...]},
    "verify": {"verify.json": _Verified},
}
"""The JSON files of each stage that are read after it, and their types; files that a stage may leave out included."""


_READ_BACK: set[tuple[str, frozenset[tuple[str, str]]]] = set()
"""What could be read, by stage and by the digests of its files: a run plans again after each of its stages."""


def is_readable(stage: str, artifact: Artifact) -> bool:
    """Tell whether every JSON file that is there can be read back; what cannot is built again.

    Its bytes are those of its digests: whoever asks has the artifact from `Store.get`.
    """
    kinds = READ.get(stage, {})
    # a stage leaves some of them out, such as the curve where the recipe asks for none
    there = {entry.name: entry.sha256 for entry in artifact.files if entry.name in kinds}
    known = (stage, frozenset(there.items()))
    if known in _READ_BACK:
        return True
    try:
        for name in there:
            from_json(kinds[name], read_json(artifact, name))
    except (StoreError, OSError, ValueError):
        return False
    _READ_BACK.add(known)
    return True
