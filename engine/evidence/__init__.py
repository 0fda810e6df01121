"""The values that make up the evidence: metrics with intervals, checks, verdicts, and the report that holds them.

Plain frozen data, no computation beyond reading back JSON. Computed in `engine.metrics` and the stages, shown by
`engine.render`. A number that could not be computed is `None` with a reason, never NaN and never left out.
Each module owns one question a sceptic asks, with how its values are read back; all are imported from here.
"""

from __future__ import annotations

from engine.evidence.data import (
    CountDifference,
    DataFinding,
    DataSummary,
    Firewall,
    HoldoutUse,
    Recorded,
    RowCounts,
    SourceSummary,
    SplitLengths,
    SplitSummary,
)
from engine.evidence.measures import (
    Abstention,
    CalibratedForm,
    Calibration,
    CalibrationBin,
    ClassScores,
    Interval,
    Metric,
    Mistake,
    Scores,
)
from engine.evidence.report import (
    Equivalence,
    FactComparison,
    Repeat,
    Report,
    Reproduction,
    Seeds,
    SeedScores,
    SeedSpread,
    StageCost,
    StageRecord,
    StageStatus,
    Waived,
)
from engine.evidence.teacher import (
    Diversity,
    KeptAtConfidence,
    ReviewResult,
    SoftAgainstAnswers,
    SoftTargetsResult,
    StudentAgainstTeacher,
    SyntheticResult,
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
    ReplayResult,
    StartSummary,
    SweepResult,
    SweepSetting,
    TrainingSummary,
)
from engine.evidence.verdicts import (
    BaselineResult,
    Challenge,
    ChallengeLine,
    ChallengeOutcome,
    Check,
    Comparison,
    Diagnosis,
    ExportedFile,
    Fit,
    Flip,
    FormResult,
    RecipeEdit,
    Status,
    Verdict,
)
