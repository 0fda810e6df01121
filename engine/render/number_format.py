"""How numbers are written: one way for durations, sizes, counts, shares and intervals."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from engine.evidence import Interval, Metric, Report, Scores
from engine.evidence.verdicts import EXPORTED
from engine.files.reading import parse_json
from engine.kinds import KINDS, AnswerForm, Decoding, Kind, MetricSpec
from engine.recipe.metrics import OF_FILES
from engine.values import MINUS, decimal

PREFIXES: Final = (
    *(f"{form}." for form in EXPORTED),
    *("over_baselines.", "over_previous.", "over_without_synthetic.", "against_teacher."),
    *("drop.", "parity."),
)
"""What stands before the metric in the name of a check."""

_DECIMALS: Final = {"per token": 2, "MB": 1, "tokens/s": 1, "ms": 1}
_WRITTEN: Final = ("MB", "tokens/s", "ms")
"""Units that stand behind the number; the others are in the metric's name."""
WORDS: Final[Mapping[str, Any]] = parse_json(Path(__file__).with_name("words.json").read_bytes())
"""Names and titles that reports have for what the code knows by a key, in groups."""
_ZERO_TO_ONE: Final = "share"
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
    return str(WORDS["prose_names"].get(name, name))


def column_name(name: str) -> str:
    """The metric as the head of a column: `macro F1`, `ROUGE-L`, `exact match`."""
    return WORDS["column_names"].get(name) or name.replace("_f1", " F1").replace("_", " ")


def is_lower_better(name: str) -> bool:
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
    return kind_of(report).primary_metric(str(report.task.get("answer_pattern") or ""))


def right_share(report: Report) -> str:
    """The share of rows that are answered rightly; empty where answers are only more or less alike."""
    kind, pattern = kind_of(report), report.task.get("answer_pattern")
    if pattern and kind.primary_with_pattern:
        return kind.primary_with_pattern
    return "" if kind.decoding is Decoding.FREE else kind.right_share


def short_list(kind: Kind, main: str, scores: Iterable[Scores]) -> tuple[str, ...]:
    names = {metric.name for item in scores for metric in item.metrics}
    listed = (*kind.compared_by, "valid_output")
    return (main, *(name for name in listed if name in names and name != main))


def whole_list(kind: Kind, *scores: Scores | None) -> tuple[str, ...]:
    names = {metric.name for item in scores if item for metric in item.metrics}
    return tuple(spec.name for spec in kind.metrics if not spec.of and spec.name in names)


_MINUTE = 60.0
_HOUR = 3600.0
_KILO = 1000
_SIZES = ("B", "kB", "MB", "GB", "TB")
DASH = "\N{EN DASH}"
"""Stands where a number does not apply."""


NOTHING = "not computed"
"""Stands where a number could not be had."""


def duration(seconds: float) -> str:
    """`0.4 s`, `31.2 s`, `4 min 51 s`, `2 h 05 min`."""
    # From here on it would be rounded to `60.0 s`.
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f} s"
    # From here on it would be rounded to `60 min`.
    if seconds < _HOUR - 0.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest:02d} min"


def about(seconds: float) -> str:
    """A rough duration for estimates: `20 s`, `1 min`, `2 h 10 min`."""
    if seconds < 10:  # below this the exact number flickers
        return "a few seconds"
    if seconds < 55:  # rounds to a minute
        return f"{5 * round(seconds / 5)} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:  # an hour
        return f"{minutes} min"
    hours, rest = divmod(5 * round(minutes / 5), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def size(count: float) -> str:
    """Bytes in decimal units, three digits at most before the unit: `105 MB`, `1.3 GB`."""
    value, unit = float(count), _SIZES[0]
    for unit in _SIZES:
        # From here on it would be rounded to 1000 of the smaller unit.
        if value < _KILO - 0.5 or unit == _SIZES[-1]:
            break
        value /= _KILO
    digits = 1 if unit not in ("B", "kB") and value < 9.95 else 0  # one digit
    return f"{value:.{digits}f} {unit}"


def count(value: int) -> str:
    """A whole number, grouped from five digits on: `9793`, `134,515,008`."""
    return f"{value:,}" if abs(value) >= 10 * _KILO else str(value)


def counted(value: int, noun: str) -> str:
    """`1 row`, `12 rows`."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def epochs(value: float) -> str:
    """`1 epoch`, `2.5 epochs`, `0.235 epochs`, `1200 epochs`."""
    shown = f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return f"{shown} epoch{'' if shown == '1' else 's'}"


def millions(value: int) -> str:
    """Parameters: `4.9 M`, `134.5 M`, `1.24 B`."""
    if value >= 1_000_000_000:  # a billion
        return f"{value / 1e9:.2f} B"
    if value >= 1_000_000:  # a million
        return f"{value / 1e6:.1f} M"
    return count(value)


def number(value: float | None, *, signed: bool = False) -> str:
    """A metric with three decimals; a difference carries its sign; None is `not computed`."""
    return amount(value, decimals=3, signed=signed)


def known[Number: float](value: Number | None, write: Callable[[Number], str] = number) -> str:
    """The value as `write` writes it; a dash for None."""
    return DASH if value is None else write(value)


def amount(value: float | None, *, decimals: int, signed: bool = False) -> str:
    """A measured number with so many decimals, grouped from five digits on; None is `not computed`."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return decimal(value, decimals, signed=signed)


def threshold(value: float) -> str:
    """A threshold as it was written, two decimals at least: `0.80`, `0.985`."""
    text = f"{value:.6f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole.replace('-', MINUS)}.{decimals.ljust(2, '0')}"


def interval(value: Interval | None, *, signed: bool = False, decimals: int = 3) -> str:
    """`[0.858, 0.930]`, empty for none."""
    if value is None:
        return ""
    low, high = (amount(end, decimals=decimals, signed=signed) for end in (value.low, value.high))
    return f"[{low}, {high}]"


def axis_number(value: float) -> str:
    return f"{value:.4g}".replace("-", MINUS) if abs(value) > 1e-9 else "0"


def percent(share: float) -> str:
    """A share in percent with one decimal, never rounded up to a false 100: `98.7 %`."""
    tenths = math.floor(share * 1000 + 0.5)
    tenths = 999 if tenths >= 1000 and share < 1 else tenths  # tenths of a percent
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def p_value(value: float) -> str:
    """`p < 0.001` or `p = 0.013`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"  # by custom


def p_values(value: float | None, adjusted: float | None) -> str:
    """`p = 0.004, 0.013 after Holm`: the test's own p, and corrected for all tests; empty without a test.

    Where nothing had to be corrected, the one p.
    """
    if value is None:
        return ""
    if adjusted is None or adjusted == value:
        return p_value(value)
    corrected = p_value(adjusted).removeprefix("p = ").removeprefix("p ")
    return f"{p_value(value)}, {corrected} after Holm"
