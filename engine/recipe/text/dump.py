"""A resolved recipe back to the file a person would write, with every default explicit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from engine.recipe.baselines import as_written
from engine.recipe.methods import method_mapping
from engine.recipe.model import (
    Acceptance,
    AnswerSpec,
    Baseline,
    Data,
    Export,
    Forgetting,
    HubRef,
    LabelSpec,
    MaxDrop,
    MessagesSpec,
    PathRef,
    Probe,
    Recipe,
    Reference,
    Source,
    Splits,
    Task,
    Threshold,
)
from engine.recipe.sweeps import sweep_mapping
from engine.recipe.text.compose import plain_value


def resolved_mapping(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as the mapping its file would hold, in the schema's order.

    Paths stand as the user wrote them, so the text means the same only beside the original.
    """
    backend = recipe.backend
    return {
        "recipe": "v1",
        "name": recipe.name,
        "description": recipe.description,
        "allow_moving": recipe.allow_moving,
        "task": _task(recipe.task),
        "base_model": reference_mapping(recipe.base_model),
        "data": _data(recipe.data),
        "splits": _splits(recipe.splits),
        "baselines": [_baseline(baseline) for baseline in recipe.baselines],
        "stop_if_baseline_passes": recipe.stop_if_baseline_passes,
        "learning_curve": recipe.learning_curve,
        "method": method_mapping(recipe.method),
        **({"sweep": sweep_mapping(recipe.sweep, recipe.method)} if recipe.sweep else {}),
        "acceptance": _acceptance(recipe.acceptance),
        "export": _export(recipe.export),
        "backend": {
            "name": backend.name,
            "precision": backend.precision,
            "overrides": dict(backend.overrides),
        },
        "waivers": [asdict(waiver) for waiver in recipe.waivers],
    }


def dump_resolved(recipe: Recipe) -> str:
    """Return the resolved recipe as block YAML that loads to the same recipe."""
    text: str = yaml.dump(
        resolved_mapping(recipe),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return text


def _task(task: Task) -> dict[str, Any]:
    return _given(
        {
            "kind": task.kind,
            "instruction": task.instruction,
            "system": task.system,
            "input": task.input or None,
            "labels": list(task.labels) or None,
            "schema": task.schema,
            "out_of_scope": task.out_of_scope,
            "answer_pattern": task.answer_pattern,
            "max_new_tokens": task.max_new_tokens,
            "output": task.output,
        }
    )


def _splits(splits: Splits) -> dict[str, Any]:
    return _given(
        {
            "by": {splits.by: splits.column} if splits.column else splits.by,
            "train": splits.train,
            "validation": splits.validation,
            "holdout": None if splits.folds else splits.holdout,
            "folds": splits.folds,
            "seed": splits.seed,
        }
    )


def reference_mapping(ref: Reference) -> dict[str, Any]:
    """Return the keys that say where something is."""
    if isinstance(ref, HubRef):
        return _given({"hub": ref.repo, "revision": ref.revision})
    if isinstance(ref, PathRef):
        return _given({"path": ref.written, "sha256": ref.sha256})
    return _given({"package": f"{ref.name}=={ref.version}", "sha256": ref.sha256, "file": ref.file})


def _given(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None}


def _source(source: Source) -> dict[str, Any]:
    is_hub = isinstance(source.ref, HubRef)
    hub = {"config": source.config, "split": source.split, "file": source.hub_file or None}
    return {
        **reference_mapping(source.ref),
        **(_given(hub) if is_hub else {}),
        "format": source.format,
        "header": list(source.header),
        "encoding": source.encoding,
        "quoting": source.quoting,
        "records": source.records,
        "explode": source.explode,
        "columns": {file.column: file.written for file in source.columns},
        "weight": source.weight,
        **({"into": source.into} if source.into else {}),
    }


def _data(data: Data) -> dict[str, Any]:
    sample = data.sample
    return _given(
        {
            "sources": [_source(source) for source in data.sources],
            "shape": data.shape,
            "label": _label(data.label) if data.label else None,
            "answer": _answer(data.answer) if data.answer else None,
            "messages": _messages(data.messages) if data.messages else None,
            "pair": asdict(data.pair) if data.pair else None,
            "sample": None if sample is None else {"rows": sample.rows, "seed": sample.seed},
            "checks": asdict(data.checks),
        }
    )


def _label(label: LabelSpec) -> dict[str, Any]:
    bins = {bin_.label: _given({"min": bin_.min, "max": bin_.max}) for bin_ in label.bins}
    return {
        "column": label.column,
        "relabel": dict(label.relabel),
        "bins": bins,
        "separator": label.separator,
    }


def _answer(answer: AnswerSpec) -> dict[str, Any]:
    return _given(
        {
            "column": answer.column,
            "references": list(answer.references),
            "fields": dict(answer.fields),
            "spans": asdict(answer.spans) if answer.spans else None,
            "tags": asdict(answer.tags) if answer.tags else None,
        }
    )


def _messages(messages: MessagesSpec) -> dict[str, Any]:
    return {**asdict(messages), "roles": dict(messages.roles)}


def _bounds(thresholds: tuple[Threshold, ...]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for threshold in thresholds:
        found.setdefault(threshold.metric, {})[threshold.direction] = threshold.bound
    return found


def _baseline(baseline: Baseline) -> Any:  # noqa: ANN401 - a word or a mapping
    found = as_written(baseline)
    if baseline.ref is not None:
        found["model"] |= reference_mapping(baseline.ref)
    return found


def _probe(probe: Probe) -> Any:  # noqa: ANN401 - a word or a mapping
    if probe.source is None:
        return probe.kind
    source = _source(probe.source)
    known = ("hub", "revision", "config", "split", "path", "package", "sha256", "file", "format")
    place = {key: source[key] for key in known if source.get(key)}
    return {
        "name": probe.name,
        "kind": probe.kind,
        **place,
        "limit": probe.limit,
        "columns": dict(probe.columns),
    }


def _forgetting(forgetting: Forgetting) -> dict[str, Any]:
    return {
        "probes": [_probe(probe) for probe in forgetting.probes],
        "max_drop": forgetting.max_drop,
    }


def _drops(drops: tuple[MaxDrop, ...]) -> dict[str, dict[str, float]]:
    return {drop.metric: {"max_drop": drop.max_drop} for drop in drops}


def _acceptance(acceptance: Acceptance) -> dict[str, Any]:
    gap, forgetting = acceptance.max_overfitting_gap, acceptance.forgetting
    gains = {gain.metric: {"min_gain": gain.min_gain} for gain in acceptance.over_baselines}
    return _given(
        {
            "confidence": acceptance.confidence,
            "decide_on": acceptance.decide_on,
            "metrics": _bounds(acceptance.metrics),
            "over_baselines": gains,
            "over_previous": _drops(acceptance.over_previous),
            "overfitting": None if gap is None else {"max_gap": gap},
            "forgetting": None if forgetting is None else _forgetting(forgetting),
        }
    )


def _export(export: Export) -> dict[str, Any]:
    bounds = _drops(export.max_drops)
    for metric, bound in _bounds(export.thresholds).items():
        bounds[metric] = bounds.get(metric, {}) | bound
    if not export.has_quantized_file:
        return {"formats": list(export.formats)}  # the other keys speak of a quantized file
    return {
        "formats": list(export.formats),
        "quantization": export.quantizations[0]
        if len(export.quantizations) == 1
        else list(export.quantizations),
        "importance_matrix": export.importance_matrix,
        "parity": {"agreement": {"min": export.min_parity}},
        "after_quantization": bounds,
    }


def spelled(value: object) -> str:
    """Return one value as YAML writes it on a line, quoted where it has to be."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, width=1 << 20)
    text = text.removesuffix("\n").removesuffix("\n...")
    is_single = isinstance(value, str) and text.startswith("'")
    return json.dumps(value, ensure_ascii=False) if is_single else text


def spelled_in_flow(value: object) -> str:
    """Return a value as it may stand in braces or brackets, on one line."""
    if isinstance(value, Mapping):
        pairs = (
            f"{spelled_in_flow(key)}: {spelled_in_flow(below)}" for key, below in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(spelled_in_flow, value))}]"
    text: str = yaml.dump(
        [value], Dumper=_Dumper, allow_unicode=True, width=1 << 20, default_flow_style=True
    )
    text = text.strip()[1:-1]
    is_single = isinstance(value, str) and text.startswith("'")
    return json.dumps(value, ensure_ascii=False) if is_single else text


class _Dumper(yaml.SafeDumper):
    """Writes only what the strict loader reads back as the same value."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Indent lists under their key, as people do."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        """Write a value twice rather than refer to it."""
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _is_plain_text(text) else '"'
    if "\n" in text:
        style = "|" if _is_block_text(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_block_text(text: str) -> bool:
    """Tell whether `text` survives as a literal block: lines of visible text, one end of line."""
    lines = text.removesuffix("\n").split("\n")
    return all(line == line.strip() and line.isprintable() and line for line in lines)


def _is_plain_text(text: str) -> bool:
    """Tell whether the strict loader would read `text`, unquoted, as this text."""
    try:
        return isinstance(plain_value(text), str)
    except OverflowError:
        return False


_Dumper.add_representer(str, _text_node)
