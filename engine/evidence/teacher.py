"""The answers of a teacher and rows that a model wrote: how good they are, and which are learned from."""

from engine.evidence.measures import Scores
from engine.evidence.verdicts import Comparison
from engine.values import Number, Value, field


class Diversity(Value):
    """How much texts repeat each other: the synthetic rows, and as many training rows."""

    rows: int
    """Compared of each."""
    distinct: Number | None
    """Share of the runs of four words that are different ones; None where there are none."""
    real_distinct: Number | None
    nearest: Number | None
    """Mean share of words that a row has in common with its nearest other one; None for one row."""
    real_nearest: Number | None

    @property
    def is_low(self) -> bool:
        """Whether the synthetic rows have less than half as many different runs of words."""
        pair = self.distinct, self.real_distinct
        return None not in pair and 2 * (pair[0] or 0.0) < (pair[1] or 0.0)


class ReviewResult(Value):
    """The marks that people gave a sample of the synthetic rows."""

    file: str
    """The file as the recipe names it."""
    is_there: bool
    drawn: int
    """Rows of the file that are synthetic rows of this run."""
    reviewed: int
    """Rows with a mark."""
    wrong: int
    wrong_high: Number | None
    """Upper end of the one-sided interval of the share that is wrong; None without a review."""
    strange: int = 0
    """Marked rows that are none of this run's."""


class SyntheticResult(Value):
    """Rows that were asked of a model, why some were refused, and what is trained on."""

    name: str
    note: str
    """Who it is and how it was asked."""
    judge: str
    """Who answered the rows again; empty for nobody."""
    requested: int
    """Rows that the recipe requests."""
    asked: int
    """Fewer than requested where the budget was spent."""
    refused: dict[str, int] = field(default_factory=dict)
    """Rows that are not trained on, by reason, in the order in which was looked."""
    kept: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    """Kept rows by label."""
    train: int = 0
    """Training rows beside them."""
    votes: int = 0
    """Answers to written rows."""
    agreed: int = 0
    """Answers that are the wanted one."""
    diversity: Diversity | None = None
    """None without a kept row."""
    digest: str = ""
    """sha256 of the kept rows."""
    review: ReviewResult | None = None
    """None where the recipe names no file."""
    cost: Number | None = None
    """Cost of all requests at the recipe's prices; None without prices."""
    seconds: Number = 0.0


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
    """The metric by which it has to be better."""
    validation: Scores | None
    """None without validation rows."""
    baselines: dict[str, Number | None]
    """`metric` of each cheap baseline on the validation rows."""
    is_better: bool
    """Than each of them; true where there is nothing to compare with."""
    read: int = 0
    """Rows without labels."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows that were not answered, by reason."""
    asked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Answers that are not learned from, by reason."""
    kept: int = 0
    """Rows that are trained on beside those with labels."""
    labels: dict[str, int] = field(default_factory=dict)
    """Kept rows by label."""
    min_confidence: Number | None = None
    confidence: tuple[KeptAtConfidence, ...] = ()
    """On the validation rows, for a few confidences; empty where the teacher gives none."""
    holdout: Scores | None = None
    """None where it was not asked."""
    parameters: int | None = None
    """None for one that is not loaded here."""
    rows_per_second: Number | None = None
    """On the holdout, in seconds of `stopwatch`; None where that was not measured."""
    sign: int = 1
    """-1 where less of `metric` is better."""
    cost: Number | None = None
    """Cost of all requests at the recipe's price; None without one."""
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
    """Probability of the kept tokens together, on average; None without tokens."""
    agreement: Number | None
    """Share of the tokens that are also the teacher's most probable one; None without tokens."""
    asked: int
    """Rows that went through the teacher when this was made; the others had been asked before."""
    seconds: Number


class SoftAgainstAnswers(Value):
    """The model that learned soft targets, and one that learned the same rows from their answers only."""

    answers: Scores
    """Scores of the second student on the holdout."""
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
        """Ratio of the student's speed to the teacher's."""
        mine, its = self.rows_per_second, self.teacher_rows_per_second
        return None if mine is None or not its else mine / its
