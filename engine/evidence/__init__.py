"""The values that make up the evidence: metrics with intervals, checks, verdicts, and the report that holds them.

Plain frozen data, no computation beyond reading back JSON. Computed in `engine.metrics` and the stages, shown by
`engine.render`. A number that could not be computed is `None` with a reason, never NaN and never left out.
Each module owns one question a sceptic asks, with how its values are read back; all are imported from here.
"""

from __future__ import annotations

from engine.evidence.calibrated import Abstention, CalibratedForm
from engine.evidence.challenge import Challenge, ChallengeLine, ChallengeOutcome
from engine.evidence.data import (
    DataFinding,
    DataSummary,
    Firewall,
    HoldoutUse,
    Recorded,
    SourceSummary,
    SplitLengths,
    SplitSummary,
)
from engine.evidence.diagnosis import Diagnosis, Fit, RecipeEdit
from engine.evidence.exported import ExportedFile, Flip, FormResult
from engine.evidence.measures import (
    Calibration,
    CalibrationBin,
    ClassScores,
    Interval,
    Metric,
    Mistake,
    Scores,
)
from engine.evidence.repeats import (
    Equivalence,
    FactComparison,
    Repeat,
    Reproduction,
    Seeds,
    SeedScores,
    SeedSpread,
)
from engine.evidence.replay import ReplayResult
from engine.evidence.report import Report, StageCost, StageRecord, StageStatus, Waived
from engine.evidence.row_counts import CountDifference, RowCounts
from engine.evidence.start import StartSummary
from engine.evidence.sweep import SweepResult, SweepSetting
from engine.evidence.synthetic import Diversity, ReviewResult, SyntheticResult
from engine.evidence.teacher import (
    KeptAtConfidence,
    SoftAgainstAnswers,
    SoftTargetsResult,
    StudentAgainstTeacher,
    TeacherResult,
)
from engine.evidence.training import (
    CheckpointScore,
    CurvePoint,
    DriftResult,
    DriftScore,
    ForgettingResult,
    GeneralTextScores,
    HistoryPoint,
    LearnedTargets,
    LearningCurve,
    PrefixSharing,
    ProbeScores,
    TrainingSummary,
)
from engine.evidence.verdicts import BaselineResult, Check, Comparison, Status, Verdict
