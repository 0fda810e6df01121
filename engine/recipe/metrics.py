"""The metrics that a recipe can bound: their names by kind of task, and which way is better. Light.

How each is computed stands in `engine.metrics`. A name with a dot is of one label (`f1.negative`)
or of one field of the answer (`f1.items.name`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

Better = Literal["higher", "lower", "either"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """What is known of a metric before anything is measured."""

    name: str
    """For a metric of labels or fields without what follows the dot."""
    better: Better = "higher"
    """`either`: what is wanted depends on the task, so both directions make sense."""
    unit: str = "share"
    """`share` (0 to 1), or what the number counts."""
    is_row_share: bool = False
    """The share of judged rows of which something holds: Wilson's interval applies."""
    of: Literal["", "label", "field"] = ""


def _each(*names: str, of: Literal["", "label", "field"] = "") -> tuple[MetricSpec, ...]:
    return tuple(MetricSpec(name=name, of=of) for name in names)


_ACCURACY: Final = MetricSpec(name="accuracy", is_row_share=True)
_VALID: Final = MetricSpec(name="valid_output", is_row_share=True)
_ABSTENTION: Final = MetricSpec(name="abstention", better="either", is_row_share=True)
_AVERAGES: Final = tuple(
    f"{average}_{metric}"
    for average in ("macro", "micro", "weighted")
    for metric in ("f1", "precision", "recall")
)
_CALIBRATION: Final = (
    MetricSpec(name="ece", better="lower"),
    MetricSpec(name="brier", better="lower", unit="points"),
)
_PER_CLASS: Final = ("precision", "recall", "f1")
_LIKELIHOOD: Final = (
    MetricSpec(name="perplexity", better="lower", unit="per token"),
    MetricSpec(name="bits_per_byte", better="lower", unit="bits"),
)
BY_KIND: Final[Mapping[str, tuple[MetricSpec, ...]]] = MappingProxyType(
    {
        "classification": (
            _ACCURACY,
            *_each("balanced_accuracy", *_AVERAGES, "mcc"),
            *_CALIBRATION,
            _ABSTENTION,
            _VALID,
            *_each(*_PER_CLASS, of="label"),
        ),
        "multilabel": (
            _ACCURACY,
            *_each(*_AVERAGES, "mcc"),
            MetricSpec(name="hamming_loss", better="lower"),
            *_CALIBRATION,
            _ABSTENTION,
            _VALID,
            *_each(*_PER_CLASS, of="label"),
        ),
        "extraction": (
            MetricSpec(name="exact_match", is_row_share=True),
            *_each("field_precision", "field_recall", "field_f1", "macro_field_f1"),
            MetricSpec(name="schema_validity", is_row_share=True),
            MetricSpec(name="type_errors", better="lower", is_row_share=True),
            _VALID,
            *_each(*_PER_CLASS, of="field"),
        ),
        "generation": (
            MetricSpec(name="exact_match", is_row_share=True),
            MetricSpec(name="normalised_match", is_row_share=True),
            MetricSpec(name="answer_match", is_row_share=True),
            MetricSpec(name="numeric_match", is_row_share=True),
            *_each("rouge_1", "rouge_2", "rouge_l", "chrf", "bleu"),
            _VALID,
        ),
        "chat": _LIKELIHOOD,
        "text": _LIKELIHOOD,
    }
)
"""The kinds of tasks that are judged, and by what."""

FREE: Final = ("valid_output", "schema_validity", "type_errors")
"""Measured by free decoding: under a constraint they would say nothing."""
LIKELIHOODS: Final = tuple(spec.name for spec in _LIKELIHOOD)
"""Metrics of how likely texts are, not of answers."""
OF_FILES: Final = (
    MetricSpec(name="agreement", is_row_share=True),
    MetricSpec(name="file_megabytes", better="lower", unit="MB"),
    MetricSpec(name="tokens_per_second", unit="tokens/s"),
    MetricSpec(name="first_token_milliseconds", better="lower", unit="ms"),
    MetricSpec(name="peak_memory_megabytes", better="lower", unit="MB"),
)
"""What the exported file can be bound by besides the metrics of its kind."""


def is_measured(kind: str) -> bool:
    """Tell whether tasks of this kind can be judged."""
    return kind in BY_KIND


def spec_of(name: str, kind: str) -> MetricSpec | None:
    """Return what is known of a metric by its full name; None where the kind has none of that name.

    Whether what follows a dot is a label or a field of the task is not asked.
    """
    bare, dot, _ = name.partition(".")
    for spec in (*BY_KIND.get(kind, ()), *OF_FILES):
        if spec.name == bare and bool(dot) == bool(spec.of):
            return spec
    return None


def is_lower_better(name: str, kind: str) -> bool:
    """Tell whether less of a metric is better."""
    spec = spec_of(name, kind)
    return spec is not None and spec.better == "lower"


def primary(kind: str, *, answer_pattern: str = "") -> str:
    """Return the metric that stands for the kind where one number is shown, such as in curves."""
    if kind == "generation":
        return "answer_match" if answer_pattern else "rouge_l"
    return {
        "classification": "macro_f1",
        "multilabel": "macro_f1",
        "extraction": "field_f1",
    }.get(kind, "bits_per_byte")


def leaves(schema: Any) -> tuple[str, ...]:
    """Return the dotted paths of the values that answers of a schema hold, indexes of lists left out."""
    return tuple(dict.fromkeys(_leaves(schema, schema, (), 0)))


_DEEPEST: Final = 12


def _leaves(node: Any, root: Any, path: tuple[str, ...], depth: int) -> Iterator[str]:
    node = _followed(node, root)
    if not isinstance(node, Mapping) or depth > _DEEPEST:
        return
    properties, items = node.get("properties"), node.get("items")
    if isinstance(properties, Mapping):
        for name, below in properties.items():
            yield from _leaves(below, root, (*path, str(name)), depth + 1)
    elif isinstance(items, Mapping):
        yield from _leaves(items, root, path, depth + 1)
    elif path:
        yield ".".join(path)


def _followed(node: Any, root: Any) -> Any:
    for _ in range(_DEEPEST):
        if not isinstance(node, Mapping) or not str(node.get("$ref", "")).startswith("#/"):
            return node
        target: Any = root
        for part in str(node["$ref"]).removeprefix("#/").split("/"):
            target = target.get(part.replace("~1", "/").replace("~0", "~"), {})
        node = target
    return {}
