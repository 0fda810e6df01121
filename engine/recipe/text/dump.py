"""A resolved recipe as the file that a person would write, with every default explicit; its digests."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from engine.recipe.baselines import as_written
from engine.recipe.mapping import Writers, to_mapping
from engine.recipe.methods import method_mapping
from engine.recipe.model import (
    FROM_TRAIN,
    MIN_PARITY,
    Acceptance,
    AgainstTeacher,
    Agreement,
    Baseline,
    BaseModel,
    Export,
    FewerLayers,
    Forgetting,
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
    Task,
    Teacher,
    Threshold,
)
from engine.recipe.references import written_layers
from engine.recipe.sweeps import sweep_mapping
from engine.recipe.teacher import is_baseline
from engine.recipe.text.compose import dumped
from engine.recipe.validation.schema import definition, recipe_schema
from engine.values import fields

FOR_PEOPLE = ("name", "description", "allow_moving", "waivers")
SEEDS = ("seed", "seeds")
"""Keys of `method` that do not make another recipe."""
PINS = ("revision", "sha256")
"""Keys of a model or a source that name its bytes; the lock compares those by their digests."""
_WITH_PLACES = ("base_model", "teacher", "data", "baselines", "acceptance")
DIGITS = 16


def recipe_digest(resolved: Mapping[str, Any]) -> str:
    return _sha256(_compared(resolved))


def section_digests(resolved: Mapping[str, Any]) -> dict[str, str]:
    return {name: _sha256(part)[:DIGITS] for name, part in _compared(resolved).items()}


def changed_sections(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    names = [*after, *(name for name in before if name not in after)]
    return tuple(name for name in names if before.get(name) != after.get(name))


def _compared(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections that make another recipe, without seeds and pins."""
    sections = {name: part for name, part in resolved.items() if name not in FOR_PEOPLE}
    method = {key: value for key, value in sections["method"].items() if key not in SEEDS}
    pinned = {name: _unpinned(sections[name]) for name in _WITH_PLACES if name in sections}
    return {**sections, "method": method, **pinned}


def _unpinned(part: Any) -> Any:
    if isinstance(part, list):
        return [_unpinned(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    is_place = not {"hub", "package", "path"}.isdisjoint(part)
    return {key: _unpinned(value) for key, value in part.items() if not (is_place and key in PINS)}


def _sha256(value: Any) -> str:
    # Sorted: the order of keys in the file means nothing.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def resolved_mapping(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as the mapping its file would hold, in the schema's order."""
    return to_mapping(recipe, recipe_schema(), _WRITERS)


def dump_resolved(recipe: Recipe) -> str:
    return dumped(resolved_mapping(recipe), sort_keys=False, default_flow_style=False, width=100)


def _recipe(recipe: Recipe) -> dict[str, Any]:
    return {
        "recipe": "v1",
        "extends": None,
        "base_model": base_model_mapping(recipe.base_model),
        "baselines": [_baseline(baseline) for baseline in recipe.baselines],
        "method": method_mapping(recipe.method),
        "sweep": sweep_mapping(recipe.sweep, recipe.method) if recipe.sweep else None,
    }


def _splits(splits: Splits) -> dict[str, Any]:
    by = {splits.by: splits.column} if splits.column else splits.by
    # With `keep: best`, 0 is read as `from_train` again.
    drawn = {"validation": 0} if splits.validation == FROM_TRAIN else {}
    return {"by": by, "holdout": None if splits.folds else splits.holdout, **drawn}


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
    return {
        **(of_hub if isinstance(source.ref, HubRef) else elsewhere),
        **reference_mapping(source.ref),
        "columns": {file.column: file.written for file in source.columns},
    }


def _source_of(value: Probe | GeneralText) -> dict[str, Any]:
    """Return the keys of a source that a probe or a text has among its own."""
    if value.source is None:
        return {}
    place = to_mapping(value.source, definition("source"), _WRITERS)
    own = {field.name for field in fields(type(value))}
    return {key: part for key, part in place.items() if part and key not in own}


def _probe(probe: Probe) -> Any:
    return to_mapping(probe, definition("probe"), _WRITERS) if probe.source else probe.kind


def _bounds(
    thresholds: tuple[Threshold, ...], drops: tuple[MaxDrop, ...] = ()
) -> dict[str, dict[str, float]]:
    bounds = {drop.metric: {"max_drop": drop.max_drop} for drop in drops}
    for threshold in thresholds:
        bounds.setdefault(threshold.metric, {})[threshold.direction] = threshold.bound
    return bounds


def _baseline(baseline: Baseline) -> Any:
    written = as_written(baseline)
    if baseline.ref is not None:
        written[baseline.kind] |= reference_mapping(baseline.ref)
    return written


def _model(model: Baseline) -> dict[str, Any]:
    section: dict[str, Any] = _baseline(model)["model"]
    return section


def _teacher(teacher: Teacher) -> dict[str, Any]:
    name, model, soft = teacher.model.name, teacher.model, teacher.soft
    keys: dict[str, Any] = {"model": name if is_baseline(teacher) else _model(model)}
    if not teacher.inputs.sources:
        keys["inputs"] = None
    if soft is not None:
        keys |= {"targets": "soft", "temperature": soft.temperature, "weight": soft.weight}
        keys["compare_with_answers"] = soft.compare_with_answers or None
    return keys


def _export(export: Export) -> dict[str, Any]:
    names = list(export.quantizations)
    of_file: dict[str, Any] = {
        "quantization": names[0] if len(names) == 1 else names,
        "after_quantization": _bounds(export.thresholds, export.max_drops),
    }
    parity: dict[str, Any] = {}
    if not export.has_quantized_file:
        of_file = {**dict.fromkeys(of_file), "importance_matrix": None}
        # Left out where it is the default, for the digests that older locks and bundles record.
        parity = {"parity": None} if export.min_parity == MIN_PARITY else {}
    return {**parity, **of_file}


def _review(review: SyntheticReview) -> dict[str, Any]:
    least = review.min_reviewed
    # A number of rows is written without a decimal point.
    return {"reviewed": {"min": int(least)}} if least is not None and least >= 1 else {}


_WRITERS: Final[Writers] = {
    Acceptance: lambda section: {"metrics": _bounds(section.metrics)},
    AgainstTeacher: lambda section: _bounds((), section.drops),
    Agreement: lambda section: {"judge": section.judge and _model(section.judge)},
    Export: _export,
    Forgetting: lambda section: {"probes": [_probe(probe) for probe in section.probes]},
    GeneralText: _source_of,
    Probe: _source_of,
    Recipe: _recipe,
    Replay: lambda section: {"from": "base_model", "sources": None} if section.is_sampled else {},
    Source: _source,
    Splits: _splits,
    Synthesize: lambda section: {
        "teacher": _model(section.teacher),
        "vary": {name: list(values) for name, values in section.vary},
    },
    SyntheticReview: _review,
    Task: lambda section: {} if section.input else {"input": None},
    Teacher: _teacher,
}
