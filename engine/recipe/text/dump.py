"""A resolved recipe back to the file a person would write, with every default explicit; its digests."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from engine.recipe.baselines import as_written, written_model
from engine.recipe.mapping import Writers, to_mapping
from engine.recipe.methods import method_mapping
from engine.recipe.model import (
    FROM_TRAIN,
    MIN_PARITY,
    Acceptance,
    AgainstTeacher,
    Baseline,
    BaseModel,
    Export,
    FewerLayers,
    GeneralText,
    HubRef,
    MaxDrop,
    NewTokenizer,
    PathRef,
    Probe,
    Recipe,
    Reference,
    Replay,
    Scratch,
    Source,
    Splits,
    Synthesize,
    SyntheticReview,
    Teacher,
    Threshold,
)
from engine.recipe.references import written_layers
from engine.recipe.sweeps import sweep_mapping
from engine.recipe.teacher import (
    OF_SOFT,
    is_baseline,
    written_against_teacher,
    written_review,
    written_soft,
)
from engine.recipe.text.compose import dumped
from engine.recipe.validation.schema import definition, recipe_schema

FOR_PEOPLE = ("name", "description", "allow_moving", "waivers")
SEEDS = ("seed", "seeds")
"""Of `method`: another seed is the same recipe, run with other luck."""
PINS = ("revision", "sha256")
"""Of a model or a source: a pin says which bytes, and the lock records their digests."""
_WITH_PLACES = ("base_model", "teacher", "data", "baselines", "acceptance")
DIGITS = 16


def recipe_digest(resolved: Mapping[str, Any]) -> str:
    return _sha256({name: _asked(name, part) for name, part in _sections(resolved).items()})


def section_digests(resolved: Mapping[str, Any]) -> dict[str, str]:
    sections = _sections(resolved)
    return {name: _sha256(_asked(name, part))[:DIGITS] for name, part in sections.items()}


def changed_sections(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    names = [*after, *(name for name in before if name not in after)]
    return tuple(name for name in names if before.get(name) != after.get(name))


def _sections(resolved: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in resolved.items() if name not in FOR_PEOPLE}


def _asked(name: str, part: Any) -> Any:
    if name == "method":
        return {key: value for key, value in part.items() if key not in SEEDS}
    return _unpinned(part) if name in _WITH_PLACES else part


def _unpinned(part: Any) -> Any:
    if isinstance(part, list):
        return [_unpinned(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    # A pin says which bytes; the lock compares those by their digests, and not by the pin.
    is_place = not {"hub", "package", "path"}.isdisjoint(part)
    return {key: _unpinned(value) for key, value in part.items() if not (is_place and key in PINS)}


def _sha256(value: Any) -> str:
    # Sorted, so that the order of keys in the file is no difference.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def resolved_mapping(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as the mapping its file would hold, in the schema's order."""
    no_input = {"input": None} if not recipe.task.input else {}
    return to_mapping(
        recipe,
        recipe_schema(),
        _WRITERS,
        recipe="v1",
        extends=None,
        task=to_mapping(recipe.task, definition("task"), **no_input),
        base_model=base_model_mapping(recipe.base_model),
        baselines=[_baseline(baseline) for baseline in recipe.baselines],
        method=method_mapping(recipe.method),
        sweep=sweep_mapping(recipe.sweep, recipe.method) if recipe.sweep else None,
    )


def dump_resolved(recipe: Recipe) -> str:
    return dumped(resolved_mapping(recipe), sort_keys=False, default_flow_style=False, width=100)


def _splits(splits: Splits) -> dict[str, Any]:
    by = {splits.by: splits.column} if splits.column else splits.by
    holdout = None if splits.folds else splits.holdout
    # With `keep: best` beside it, 0 is read as what it was.
    drawn = {"validation": 0} if splits.validation == FROM_TRAIN else {}
    return to_mapping(splits, definition("splits"), by=by, holdout=holdout, **drawn)


def base_model_mapping(base: BaseModel) -> dict[str, Any]:
    """Return the keys of `base_model`, every default of a blank one explicit."""
    if isinstance(base, Scratch):
        if isinstance(base.tokenizer, NewTokenizer):
            tokenizer = {"train": "byte_pairs", "size": base.tokenizer.size}
        else:
            tokenizer = reference_mapping(base.tokenizer)
        return {"scratch": to_mapping(base, definition("scratch"), tokenizer=tokenizer)}
    if isinstance(base, FewerLayers):
        return {**reference_mapping(base.of), "keep_layers": written_layers(base.keep_layers)}
    return reference_mapping(base)


def reference_mapping(ref: Reference) -> dict[str, Any]:
    if isinstance(ref, HubRef):
        keys = {"hub": ref.repo, "revision": ref.revision}
    elif isinstance(ref, PathRef):
        keys = {"path": ref.written, "sha256": ref.sha256}
    else:
        package = f"{ref.name}=={ref.version}"
        keys = {"package": package, "sha256": ref.sha256, "file": ref.file}
    return {key: value for key, value in keys.items() if value is not None}


def _source(source: Source) -> dict[str, Any]:
    of_hub = {"file": source.hub_file or None}
    elsewhere = {"config": None, "split": None}
    return to_mapping(
        source,
        definition("source"),
        **(of_hub if isinstance(source.ref, HubRef) else elsewhere),
        **reference_mapping(source.ref),
        columns={file.column: file.written for file in source.columns},
    )


def _bounds(
    thresholds: tuple[Threshold, ...], drops: tuple[MaxDrop, ...] = ()
) -> dict[str, dict[str, float]]:
    found = {drop.metric: {"max_drop": drop.max_drop} for drop in drops}
    for threshold in thresholds:
        found.setdefault(threshold.metric, {})[threshold.direction] = threshold.bound
    return found


def _baseline(baseline: Baseline) -> Any:
    found = as_written(baseline)
    if baseline.ref is not None:
        found[baseline.kind] |= reference_mapping(baseline.ref)
    return found


def _asked_model(model: Baseline) -> dict[str, Any]:
    return written_model(model) | (reference_mapping(model.ref) if model.ref is not None else {})


def _teacher(teacher: Teacher) -> dict[str, Any]:
    soft = written_soft(teacher)
    return to_mapping(
        teacher,
        definition("teacher"),
        _WRITERS,
        model=teacher.model.name if is_baseline(teacher) else _asked_model(teacher.model),
        **({} if teacher.inputs.sources else {"inputs": None}),
        **{key: soft.get(key) for key in ("targets", *OF_SOFT)},
    )


def _probe(probe: Probe) -> Any:
    if probe.source is None:
        return probe.kind
    place = {key: value for key, value in _source(probe.source).items() if value}
    # A probe has a few of a source's keys; the others would not be known there.
    _, schema = definition("probe")["oneOf"]
    own = {"name", "kind", "limit", "columns"}
    known = {key: place[key] for key in schema["properties"] if key in place and key not in own}
    return to_mapping(probe, schema, **known)


def _general_text(text: GeneralText) -> dict[str, Any]:
    schema, source = definition("general_text"), text.source
    place = {key: value for key, value in _source(source).items() if value} if source else {}
    own = {"input", "limit", "bits_per_byte"}
    known = {key: place.get(key) for key in schema["properties"] if key not in own}
    return to_mapping(text, schema, **known)


def _export(export: Export) -> dict[str, Any]:
    names = list(export.quantizations)
    of_file: dict[str, Any] = {
        "quantization": names[0] if len(names) == 1 else names,
        "after_quantization": _bounds(export.thresholds, export.max_drops),
    }
    parity: dict[str, Any] = {}
    if not export.has_quantized_file:
        of_file = {**dict.fromkeys(of_file), "importance_matrix": None}
        # left out where it is the usual one, so that recipes have the digest that older locks and bundles record
        parity = {"parity": None} if export.min_parity == MIN_PARITY else {}
    return to_mapping(export, definition("export"), **parity, **of_file)


_WRITERS: Final[Writers] = {
    Acceptance: lambda one: to_mapping(
        one, definition("acceptance"), _WRITERS, metrics=_bounds(one.metrics)
    ),
    AgainstTeacher: written_against_teacher,
    Baseline: _asked_model,
    Export: _export,
    GeneralText: _general_text,
    Probe: _probe,
    Replay: lambda one: to_mapping(
        one,
        definition("replay"),
        _WRITERS,
        **({"from": "base_model", "sources": None} if one.is_sampled else {}),
    ),
    Source: _source,
    Splits: _splits,
    Synthesize: lambda one: to_mapping(
        one,
        definition("synthesize"),
        _WRITERS,
        vary={name: list(values) for name, values in one.vary},
    ),
    SyntheticReview: written_review,
    Teacher: _teacher,
}
