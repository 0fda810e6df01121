"""What every key of the recipe language decides, and in which direction a change of it weakens evidence.

A test fails when the schema has a key that stands in no line here. Keys are written as a review
writes them in general: `[]` for an item of a list, `*` for a name that the user gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from engine.evidence.review import Area


class Weaker(StrEnum):
    """The direction in which a key weakens evidence."""

    NEVER = "no change of it says anything about the evidence"
    LOWER = "a lower number, or none"
    HIGHER = "a higher number, or none"
    RELAXED = "an action further down: fail, drop, mask, warn, off"
    OFF = "no longer true"
    ON = "true now"
    CHANGED = "any change"
    LOOKED_AT = "a function of engine.review decides"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one key decides."""

    area: Area
    weaker: Weaker = Weaker.NEVER
    code: str = ""
    """Of the finding; empty where a function names it, or nothing is found."""
    gone: str = ""
    """Of the finding where the key is no longer said; as `code` where empty."""


def _plain(area: Area, *keys: str) -> dict[str, Decision]:
    return dict.fromkeys(keys, Decision(area=area))


def _looked_at(area: Area, *keys: str) -> dict[str, Decision]:
    return dict.fromkeys(keys, Decision(area=area, weaker=Weaker.LOOKED_AT))


def _bound(weaker: Weaker, code: str, gone: str = "", *, area: Area = Area.GATE) -> Decision:
    return Decision(area=area, weaker=weaker, code=code, gone=gone)


def _changed(area: Area, code: str, *keys: str) -> dict[str, Decision]:
    return dict.fromkeys(keys, Decision(area=area, weaker=Weaker.CHANGED, code=code))


_TOP: Final = {
    **_plain(Area.NOTHING, "recipe", "description", "extends", "waivers[].what", "waivers[].why"),
    **_looked_at(Area.NOTHING, "name"),  # `over_previous` finds the last accepted model by it
    **_plain(Area.REPORT, "learning_curve"),
    "allow_moving": _bound(Weaker.ON, "W503"),
    "stop_if_baseline_passes": _bound(Weaker.OFF, "W403"),
}
_TASK: Final = {
    **_plain(Area.TASK, "task.instruction", "task.system", "task.max_new_tokens"),
    **_looked_at(Area.TASK, "task.input", "task.labels[]", "task.schema", "task.output"),
    **_changed(Area.TASK, "W702", "task.kind", "task.out_of_scope", "task.answer_pattern"),
}
_BASE_MODEL: Final = {
    **_plain(Area.MODEL, *(f"base_model.{key}" for key in ("hub", "path", "package", "file"))),
    **_looked_at(Area.MODEL, "base_model.revision", "base_model.sha256"),
}
_SOURCE_KEYS: Final = (
    *("hub", "revision", "config", "split", "path", "package", "sha256", "file", "format"),
    *("header[]", "encoding", "quoting", "records", "explode", "columns.*", "into"),
)
_SOURCES: Final = {
    **_looked_at(Area.DATA, *(f"data.sources[].{key}" for key in _SOURCE_KEYS)),
    **_plain(Area.DATA, "data.sources[].weight"),  # training rows only
}
_TARGETS: Final = {
    **_changed(
        Area.DATA,
        "W703",
        *(f"data.label.{key}" for key in ("column", "relabel.*", "separator")),
        *(f"data.label.bins.*.{end}" for end in ("min", "max")),
        *(f"data.answer.{key}" for key in ("column", "fields.*", "tags.column", "tags.of")),
        *(f"data.answer.spans.{key}" for key in ("column", "name", "start", "end", "of")),
        *(f"data.messages.{key}" for key in ("column", "role", "content", "roles.*")),
        *(f"data.messages.{key}" for key in ("system", "tools")),
        *(f"data.pair.{key}" for key in ("prompt", "chosen", "rejected")),
        "data.shape",
    ),
    **_looked_at(Area.DATA, "data.answer.references[]", "data.sample.rows", "data.sample.seed"),
}
_CHECKS: Final = (
    *("duplicates", "conflicting_labels", "leakage", "truncation", "empty", "unknown_labels"),
    *("imbalance", "near_duplicates", "label_errors", "missing_classes", "output_format"),
    *("schema_violations", "mojibake", "control_characters", "personal_data", "languages"),
    *("template_tokens", "label_in_input"),
)
_DATA: Final = {
    **_SOURCES,
    **_TARGETS,
    **dict.fromkeys(
        (f"data.checks.{check}" for check in _CHECKS),
        _bound(Weaker.RELAXED, "W301", area=Area.DATA),
    ),
}
_SPLITS: Final = {
    **_looked_at(Area.DATA, *(f"splits.{key}" for key in ("by", "holdout", "folds", "seed"))),
    **_looked_at(Area.DATA, *(f"splits.by.{way}" for way in ("group", "time", "column"))),
    **_looked_at(Area.DATA, "splits.validation"),
    **_plain(Area.DATA, "splits.train"),
}
_MODEL_KEYS: Final = (
    *("name", "hub", "revision", "path", "package", "sha256", "file", "gguf", "endpoint", "model"),
    "shots",
)
_BASELINES: Final = {
    **_looked_at(
        Area.GATE,
        "baselines[]",
        "baselines[].few_shot.shots",
        "baselines[].retrieved_few_shot.shots",
        *(f"baselines[].model.{key}" for key in _MODEL_KEYS),
    ),
    **_plain(Area.NOTHING, "baselines[].model.api_key_env"),
    **_plain(Area.REPORT, "baselines[].model.price.input", "baselines[].model.price.output"),
}
_METHOD_KEYS: Final = (
    *("kind", "rank", "alpha", "dropout", "target_modules", "epochs", "learning_rate"),
    *("scheduler", "warmup_ratio", "weight_decay", "batch_size", "micro_batch_size"),
    *("max_length", "evaluations_per_epoch", "gradient_checkpointing", "seed"),
)
_METHOD: Final = {
    **_plain(Area.MODEL, *(f"method.{key}" for key in _METHOD_KEYS)),
    **_looked_at(Area.MODEL, "method.early_stopping.patience", "method.keep"),
    **_looked_at(Area.REPORT, "method.seeds[]"),
}
_SWEEP: Final = {
    **_plain(
        Area.MODEL,
        "sweep.choose_by",
        *(f"sweep.grid.{key}[]" for key in (*_METHOD_KEYS, "keep")),
        *(f"sweep.list[].{key}" for key in (*_METHOD_KEYS, "keep")),
        "sweep.grid.early_stopping[].patience",
        "sweep.list[].early_stopping.patience",
    ),
    **_looked_at(Area.MODEL, "sweep.list[]"),
}
_PROBE_KEYS: Final = (
    *("name", "kind", "hub", "revision", "config", "split", "path", "package", "sha256", "file"),
    *("format", "limit", "columns.*"),
)
_ACCEPTANCE: Final = {
    "acceptance.confidence": _bound(Weaker.LOWER, "W104"),
    **_looked_at(Area.GATE, "acceptance.decide_on"),
    "acceptance.metrics.*.min": _bound(Weaker.LOWER, "W101", "W102"),
    "acceptance.metrics.*.max": _bound(Weaker.HIGHER, "W101", "W102"),
    "acceptance.over_baselines.*.min_gain": _bound(Weaker.LOWER, "W106", "W107"),
    "acceptance.over_previous.*.max_drop": _bound(Weaker.HIGHER, "W108", "W109"),
    "acceptance.overfitting.max_gap": _bound(Weaker.HIGHER, "W110", "W111"),
    "acceptance.forgetting.max_drop": _bound(Weaker.HIGHER, "W112", "W113"),
    **_looked_at(
        Area.GATE,
        "acceptance.forgetting.probes[]",
        *(f"acceptance.forgetting.probes[].{key}" for key in _PROBE_KEYS),
    ),
}
_EXPORT: Final = {
    **_looked_at(Area.EXPORT, "export.formats[]", "export.quantization"),
    **_plain(Area.EXPORT, "export.importance_matrix"),
    "export.parity.agreement.min": _bound(Weaker.LOWER, "W117"),
    "export.after_quantization.*.max_drop": _bound(Weaker.HIGHER, "W115", "W116"),
    "export.after_quantization.*.min": _bound(Weaker.LOWER, "W115", "W116"),
    "export.after_quantization.*.max": _bound(Weaker.HIGHER, "W115", "W116"),
}
_BACKEND: Final = {
    **_plain(Area.MODEL, "backend.name", "backend.precision"),
    **_looked_at(Area.MODEL, "backend.overrides"),
}

DECISIONS: Final[Mapping[str, Decision]] = MappingProxyType(
    {
        **_TOP,
        **_TASK,
        **_BASE_MODEL,
        **_DATA,
        **_SPLITS,
        **_BASELINES,
        **_METHOD,
        **_SWEEP,
        **_ACCEPTANCE,
        **_EXPORT,
        **_BACKEND,
    }
)
ORDER: Final = ("fail", "drop", "mask", "warn", "off")
"""Actions of a check, the strictest first: refuse, leave out, hide, tell, do not look."""
