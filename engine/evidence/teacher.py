"""What a teacher answered, how good it is, and what of its answers is learned from."""

from __future__ import annotations

from engine.evidence.measures import Scores
from engine.evidence.verdicts import Comparison
from engine.values import Number, Value, field


class KeptAtConfidence(Value):
    """Which share of the validation rows the teacher answers at least so surely, and how many of those rightly."""

    confidence: Number
    kept: Number
    right: Number | None
    """None where none is kept."""


class TeacherResult(Value):
    """A teacher beside the cheap baselines on the validation rows, and its answers to the rows without labels."""

    name: str
    note: str
    """Who it is and how it was asked."""
    metric: str
    """By which it has to be better."""
    validation: Scores | None
    """None without validation rows."""
    baselines: dict[str, Number | None]
    """`metric` of each cheap baseline on the validation rows."""
    is_better: bool
    """Than each of them; true where there is nothing to compare with."""
    read: int = 0
    """Rows without labels."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Those that were not asked, by reason."""
    asked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Answers that are not learned from, by reason."""
    kept: int = 0
    """Rows that are trained on beside those with labels."""
    labels: dict[str, int] = field(default_factory=dict)
    """Kept rows by label."""
    min_confidence: Number | None = None
    confidence: tuple[KeptAtConfidence, ...] = ()
    """Of the validation rows, for a few confidences; empty where the teacher gives none."""
    holdout: Scores | None = None
    """None where it was not asked."""
    parameters: int | None = None
    """None for one that is not loaded here."""
    rows_per_second: Number | None = None
    """On the holdout, in seconds of `Stopwatch`; None where that was not measured."""
    sign: int = 1
    """-1 where less of `metric` is better."""
    cost: Number | None = None
    """Of all that it was asked, at the recipe's price; None without one."""
    seconds: Number = 0.0

    @property
    def value(self) -> float | None:
        """Its `metric` on the validation rows."""
        scores = self.validation.metrics if self.validation else ()
        return next((one.value for one in scores if one.name == self.metric), None)


class SoftTargetsResult(Value):
    """A teacher's probabilities of the tokens that are trained."""

    rows: int
    """Different training rows."""
    tokens: int
    """Learned ones of these rows; each has probabilities of its own."""
    kept_tokens: int
    """The most probable tokens that are kept at each."""
    probability: Number | None
    """What the kept ones have together, on average; None without tokens."""
    agreement: Number | None
    """Share of the tokens that are also the teacher's most probable one; None without tokens."""
    asked: int
    """Rows that went through the teacher when this was made; the others had been asked before."""
    seconds: Number


class SoftAgainstAnswers(Value):
    """The model that learned soft targets, and one that learned the same rows from their answers only."""

    answers: Scores
    """Of the second one on the holdout."""
    comparisons: tuple[Comparison, ...]
    """By metric, paired; a positive difference means that soft targets are better."""


class StudentAgainstTeacher(Value):
    """The tuned model and its teacher on the same holdout rows."""

    comparisons: tuple[Comparison, ...]
    """By metric; a positive difference means that the student is better."""
    both_right: int
    only_teacher_right: int
    only_student_right: int
    neither_right: int
    parameters: int
    teacher_parameters: int | None
    rows_per_second: Number | None
    teacher_rows_per_second: Number | None

    @property
    def size_ratio(self) -> float | None:
        """The student's parameters in relation to the teacher's."""
        return self.parameters / self.teacher_parameters if self.teacher_parameters else None

    @property
    def speed_ratio(self) -> float | None:
        """How many times as fast the student answers."""
        mine, its = self.rows_per_second, self.teacher_rows_per_second
        return None if mine is None or not its else mine / its
