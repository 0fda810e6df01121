"""What is known of a kind of task and of its metrics, without numpy or torch."""

from enum import StrEnum
from typing import Final, Literal

from engine.values import Value

Better = Literal["higher", "lower", "either"]
Of = Literal["", "label", "field"]


class Turns(StrEnum):
    """How an example becomes turns of a chat template."""

    QUESTION = "question"
    CHAT = "chat"
    PREFERENCE = "preference"
    """A prompt and a chosen and a rejected answer, or one answer with a thumb."""
    DOCUMENT = "document"
    """No turns: the text is learned whole, in blocks."""


class AnswerForm(StrEnum):
    """What form an answer has."""

    LABEL = "label"
    LABELS = "labels"
    OBJECT = "object"
    TEXT = "text"
    NONE = "none"


class Decoding(StrEnum):
    """How a model is asked when it is judged."""

    LABEL_SCORING = "label_scoring"
    """By the probability of each label."""
    GRAMMAR = "grammar"
    """By decoding that allows nothing but answers of the form."""
    FREE = "free"
    """By greedy decoding."""
    LIKELIHOOD = "likelihood"
    """By the probability of the answers or of the text: nothing is generated."""


class MetricSpec(Value):
    """What is known of a metric before anything is measured."""

    name: str
    """For a metric of labels or fields without what follows the dot."""
    better: Better = "higher"
    """`either`: what is wanted depends on the task, so both directions make sense."""
    unit: str = "share"
    """`share` (0 to 1), or what the number counts."""
    is_row_share: bool = False
    """The share of judged rows of which something holds: Wilson's interval applies."""
    of: Of = ""


class Draft(Value):
    """What `recipe init` writes for a kind, before a person edits it."""

    description: str = "Write as the examples are written."
    """`{word}` is what the labels are called."""
    metric: str = ""
    """The bounded metric; empty for a kind that cannot be judged."""
    threshold: float = 0.0
    instruction: str = ""
    """`{word}` is what the labels are called, `{fields}` those of an answer; `{labels}` is filled in by each prompt."""
    short_instruction: str = ""
    """The same where the labels, or the fields, are too many to list."""
    target: str = "label"
    """What the column of the answers is called."""


class Kind(Value):
    """A kind of task: its keys, rows, turns, answers, metrics, baselines and words."""

    name: str
    order: int

    # The recipe.
    reads: tuple[str, ...]
    """Keys that only some kinds read, such as `task.labels`; a key of none here is ignored (R241)."""
    needs: tuple[str, ...] = ()
    needs_threshold: bool = False
    """A recipe without a bound is invalid (R246); other kinds need one only to be run."""
    formats: tuple[str, ...] = ()
    """Chat formats that say all that it needs; empty for a kind that reads columns."""
    columns_key: str = ""
    """The key of `data` that says instead which columns to read."""
    group: str = ""
    """What stays together where a recipe does not say how rows are divided; empty for nothing."""

    # From a row to a prediction.
    row_reader: str
    """The module whose `filler` turns rows into examples (`engine.data.examples.template`)."""
    turns: Turns = Turns.QUESTION
    answer: AnswerForm
    decoding: Decoding

    # From predictions to a verdict.
    metrics: tuple[MetricSpec, ...] = ()
    metric_family: str = ""
    metric_packages: tuple[str, ...] = ()
    """Packages whose version changes the numbers."""
    primary: str = "bits_per_byte"
    """The metric shown where there is room for one number, such as in curves."""
    primary_with_pattern: str = ""
    right_share: str = ""
    """The share of right rows; empty where no row is right or wrong."""
    compared_by: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    more_baselines: tuple[str, ...] = ()

    # Words.
    judged_by: str = "constrained decoding"
    card_metric: str = ""
    """What the model card states beside the main metric."""
    card_limit: str = ""
    hub_tag: str = "text-generation"
    """`pipeline_tag` of the model card."""
    draft: Draft = Draft()

    @property
    def has_labels(self) -> bool:
        return self.answer in (AnswerForm.LABEL, AnswerForm.LABELS)

    @property
    def has_one_answer(self) -> bool:
        """Whether a row has one right answer, so that two of them contradict each other."""
        return self.has_labels or self.answer is AnswerForm.OBJECT

    @property
    def has_turns(self) -> bool:
        return self.turns is not Turns.DOCUMENT

    @property
    def is_constrained(self) -> bool:
        """Whether judging allows only answers of the form, so that free decoding says something else."""
        return self.decoding in (Decoding.LABEL_SCORING, Decoding.GRAMMAR)

    @property
    def by_likelihood(self) -> bool:
        return self.decoding is Decoding.LIKELIHOOD

    @property
    def is_decoded(self) -> bool:
        """Whether judging writes answers token by token, so that an early tie changes the rest."""
        return self.decoding in (Decoding.GRAMMAR, Decoding.FREE)

    @property
    def is_written_out(self) -> bool:
        """Whether judging generates long answers, token by token."""
        return not self.by_likelihood and self.answer in (AnswerForm.OBJECT, AnswerForm.TEXT)

    @property
    def counts_by(self) -> Of:
        """What scores are also counted by: labels, fields or nothing."""
        return next((spec.of for spec in self.metrics if spec.of), "")

    def primary_metric(self, answer_pattern: str = "") -> str:
        return (answer_pattern and self.primary_with_pattern) or self.primary

    def can_be_answered_by(self, baseline: str) -> bool:
        return baseline in self.baselines or baseline in self.more_baselines


def plain(*names: str, of: Of = "") -> tuple[MetricSpec, ...]:
    return tuple(MetricSpec(name=name, of=of) for name in names)


ACCURACY: Final = MetricSpec(name="accuracy", is_row_share=True)
EXACT_MATCH: Final = MetricSpec(name="exact_match", is_row_share=True)
VALID_OUTPUT: Final = MetricSpec(name="valid_output", is_row_share=True)
AVERAGES: Final = plain(
    *(
        f"{average}_{metric}"
        for average in ("macro", "micro", "weighted")
        for metric in ("f1", "precision", "recall")
    ),
    "mcc",
)
LABEL_METRICS: Final = (
    MetricSpec(name="ece", better="lower"),
    MetricSpec(name="brier", better="lower", unit="points"),
    MetricSpec(name="abstention", better="either", is_row_share=True),
    VALID_OUTPUT,
    *plain("precision", "recall", "f1", of="label"),
)
"""Of tasks with labels beside the averages: calibration, whether the model answers, and those of each label."""
OF_FIELDS: Final = plain("precision", "recall", "f1", of="field")
LIKELIHOOD: Final = (
    MetricSpec(name="perplexity", better="lower", unit="per token"),
    MetricSpec(name="bits_per_byte", better="lower", unit="bits"),
)
