"""How each metric is shown: its number of decimals, its unit, which way is better, which stands for a kind.

A check's name may say more than its metric (`over_baselines.macro_f1`); the metric is what counts here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.evidence import Interval, Metric, Report, Scores
from engine.evidence.verdicts import EXPORTED
from engine.kinds import KINDS, AnswerForm, Decoding, Kind, MetricSpec
from engine.recipe.metrics import OF_FILES
from engine.render.number_format import DASH, amount, interval, threshold

PREFIXES: Final = (
    *(f"{form}." for form in EXPORTED),
    *("over_baselines.", "over_previous.", "over_without_synthetic.", "against_teacher."),
    *("drop.", "parity."),
)
"""What stands before the metric in the name of a check."""

_DECIMALS: Final = {"per token": 2, "MB": 1, "tokens/s": 1, "ms": 1}
_WRITTEN: Final = ("MB", "tokens/s", "ms")
"""Units that stand behind the number; the others are in the metric's name."""
_ZERO_TO_ONE: Final = "share"
_PROSE_NAMES: Final = {
    "macro_f1": "macro-F1",
    "field_f1": "field F1",
    "answer_match": "answer match",
    "rouge_l": "ROUGE-L",
    "bits_per_byte": "bits per byte",
}
_COLUMN_NAMES: Final = {
    "mcc": "MCC",
    "ece": "ECE",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "chrf": "chrF",
    "bleu": "BLEU",
}
_UNKNOWN: Final = Kind(
    name="",
    order=0,
    reads=(),
    row_reader="",
    answer=AnswerForm.TEXT,
    decoding=Decoding.FREE,
)
"""Of a report whose kind this version does not know: no words or tables of one kind are shown."""


def metric_name(name: str) -> str:
    """Return the metric a check is about, without what stands before it."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def spec_of(name: str) -> MetricSpec | None:
    """Return what is known of a metric, whatever the kind: the same name means the same everywhere."""
    first, dot, _ = metric_name(name).partition(".")
    specs = (
        spec for kind in (*(kind.metrics for kind in KINDS.values()), OF_FILES) for spec in kind
    )
    return next((spec for spec in specs if spec.name == first and bool(dot) == bool(spec.of)), None)


def prose_name(name: str) -> str:
    """The metric as in a sentence: `macro-F1`, `bits per byte`; others as the recipe does."""
    return _PROSE_NAMES.get(name, name)


def column_name(name: str) -> str:
    """The metric as the head of a column: `macro F1`, `ROUGE-L`, `exact match`."""
    return _COLUMN_NAMES.get(name) or name.replace("_f1", " F1").replace("_", " ")


def is_lower_better(name: str) -> bool:
    """Tell whether less of it is better."""
    spec = spec_of(name)
    return spec is not None and spec.better == "lower"


def is_share(name: str) -> bool:
    """Tell whether it lies between 0 and 1; so do checks that are no metrics."""
    spec = spec_of(name)
    return spec is None or spec.unit == _ZERO_TO_ONE


def lower_note(name: str) -> str:
    """` (lower is better)`, or nothing where that goes without saying."""
    return f" ({direction(name)})" if is_lower_better(name) else ""


def direction(name: str) -> str:
    """`higher is better`, `lower is better`, or empty where that depends on the task."""
    spec = spec_of(name)
    return f"{spec.better} is better" if spec and spec.better != "either" else ""


def decimals_of(name: str) -> int:
    """With how many decimals this metric is written."""
    return _DECIMALS.get(_unit(name), 3)


def value_of(
    name: str, value: float | None, *, signed: bool = False, decimals: int | None = None
) -> str:
    """The number as this metric is written, with its unit: `0.896`, `12.41`, `105.5 MB`; or with so many decimals."""
    unit = _unit(name)
    text = amount(
        value, decimals=decimals_of(name) if decimals is None else decimals, signed=signed
    )
    return f"{text} {unit}" if unit in _WRITTEN and value is not None else text


def interval_of(
    name: str, value: Interval | None, *, signed: bool = False, decimals: int | None = None
) -> str:
    """`[0.858, 0.930]`, with the metric's decimals or so many; empty for none."""
    decimals = decimals_of(name) if decimals is None else decimals
    return interval(value, signed=signed, decimals=decimals)


def threshold_of(name: str, value: float) -> str:
    """A threshold as it was written, with its unit: `0.80`, `120 MB`."""
    unit = _unit(name)
    if unit not in _WRITTEN:
        return threshold(value)
    return f"{value:,.6f}".rstrip("0").rstrip(".") + f" {unit}"


def metric_text(metric: Metric | None) -> str:
    """Value and interval of a metric: `0.896 [0.858, 0.930]`; a dash where it was not computed."""
    if metric is None or metric.value is None:
        return DASH
    shown = value_of(metric.name, metric.value)
    return f"{shown} {interval_of(metric.name, metric.interval)}".rstrip()


def _unit(name: str) -> str:
    spec = spec_of(name)
    return spec.unit if spec else ""


def kind_of(report: Report) -> Kind:
    """The kind of task; the first reports name none, and are all of classification."""
    return KINDS.get(str(report.task.get("kind", "classification")), _UNKNOWN)


def primary_of(report: Report) -> str:
    """The metric that stands for the report's kind of task."""
    return kind_of(report).primary_metric(str(report.task.get("answer_pattern") or ""))


def right_share(report: Report) -> str:
    """The share of rows that are answered rightly; empty where answers are only more or less alike."""
    kind, pattern = kind_of(report), report.task.get("answer_pattern")
    if pattern and kind.primary_with_pattern:
        return kind.primary_with_pattern
    return "" if kind.decoding is Decoding.FREE else kind.right_share


def short_list(kind: Kind, main: str, scores: Iterable[Scores]) -> tuple[str, ...]:
    """The metrics models are compared by: the main one first, then those of the kind that any has."""
    names = {metric.name for item in scores for metric in item.metrics}
    listed = (*kind.compared_by, "valid_output")
    return (main, *(name for name in listed if name in names and name != main))


def whole_list(kind: Kind, *scores: Scores | None) -> tuple[str, ...]:
    """The metrics of a kind that any has, in the kind's order, without those of labels and fields."""
    names = {metric.name for item in scores if item for metric in item.metrics}
    return tuple(spec.name for spec in kind.metrics if not spec.of and spec.name in names)
