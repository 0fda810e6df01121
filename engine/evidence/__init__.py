"""The values that make up the evidence: metrics with intervals, checks, verdicts, and the report that holds them.

Plain frozen data, no computation beyond reading back JSON. Computed in `engine.metrics` and the stages, shown by
`engine.render`. A number that could not be computed is `None` with a reason, never NaN and never left out.
Each module owns one question a sceptic asks, with how its values are read back; all are imported from here.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.evidence.challenge import Challenge, ChallengeLine, Standing
from engine.evidence.data import (
    DataFinding,
    DataSummary,
    Firewall,
    HoldoutUse,
    Recorded,
    SourceSummary,
    SplitLengths,
    SplitSummary,
    data_from_json,
)
from engine.evidence.exported import ExportedFile, Flip, Rung, rung_from_json
from engine.evidence.measures import (
    Calibration,
    CalibrationBin,
    ClassScores,
    Interval,
    Metric,
    Scores,
    metric_from_json,
    scores_from_json,
)
from engine.evidence.repeats import (
    Compared,
    Equivalence,
    Repeat,
    Reproduction,
    Seeds,
    SeedScores,
    Spread,
    reproduction_from_json,
    seeds_from_json,
)
from engine.evidence.report import Report, StageCost, StageRecord, StageStatus, Waived
from engine.evidence.sweep import SweepResult, SweepSetting, sweep_from_json
from engine.evidence.training import (
    CheckpointScore,
    CurvePoint,
    ForgettingResult,
    HistoryPoint,
    LearningCurve,
    ProbeScores,
    TrainingSummary,
    checkpoint_from_json,
    curve_from_json,
    forgetting_from_json,
    training_from_json,
)
from engine.evidence.verdicts import (
    BaselineResult,
    Check,
    Comparison,
    Status,
    Verdict,
    baseline_from_json,
    comparison_from_json,
    verdict_from_json,
)

__all__ = [
    "BaselineResult",
    "Calibration",
    "CalibrationBin",
    "Challenge",
    "ChallengeLine",
    "Check",
    "CheckpointScore",
    "ClassScores",
    "Compared",
    "Comparison",
    "CurvePoint",
    "DataFinding",
    "DataSummary",
    "Equivalence",
    "ExportedFile",
    "Firewall",
    "Flip",
    "ForgettingResult",
    "HistoryPoint",
    "HoldoutUse",
    "Interval",
    "LearningCurve",
    "Metric",
    "ProbeScores",
    "Recorded",
    "Repeat",
    "Report",
    "Reproduction",
    "Rung",
    "Scores",
    "SeedScores",
    "Seeds",
    "SourceSummary",
    "SplitLengths",
    "SplitSummary",
    "Spread",
    "StageCost",
    "StageRecord",
    "StageStatus",
    "Standing",
    "Status",
    "SweepResult",
    "SweepSetting",
    "TrainingSummary",
    "Verdict",
    "Waived",
    "baseline_from_json",
    "checkpoint_from_json",
    "comparison_from_json",
    "curve_from_json",
    "data_from_json",
    "forgetting_from_json",
    "metric_from_json",
    "reproduction_from_json",
    "rung_from_json",
    "scores_from_json",
    "seeds_from_json",
    "sweep_from_json",
    "to_json",
    "training_from_json",
    "verdict_from_json",
]


def to_json(value: Any) -> Any:
    """Plain JSON data of a value of this package."""
    return asdict(value)
