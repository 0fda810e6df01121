"""What a model is asked or compared with beside its rows: baselines, and probes of what training took away."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.baselines import kind_and_spec
from engine.recipe.model import Baseline, Forgetting, Probe, Recipe, Reference
from engine.recipe.references import GENERAL_TEXT, MODELS
from engine.recipe.text.compose import dotted
from engine.review.compare import (
    ChangedKey,
    Versions,
    finding,
    finding_of,
    other_bytes,
    paired_names,
    rows_of,
    same_content,
)
from engine.review.files import read_as
from engine.review.flatten import PROBES
from engine.review.version import Side

_SAME_MODEL: Final = ("hub", "path", "package", "file", "gguf", "endpoint", "model")
"""Keys that say which model answers; pins are judged as pins."""
_OF_MODELS: Final = tuple(f"baselines[].{kind}." for kind in MODELS)
_OF_NO_ANSWER: Final = ("name", "api_key_env", "price")
"""Keys of a model that change no answer of it."""
_PINS = ("revision", "sha256")
SEED = "splits.seed"
"""It draws the questions of a set that is not asked whole."""
Baselines = Mapping[str, Baseline]
"""By name."""


def baselines(versions: Versions) -> Iterator[Finding]:
    """W401, W402: fewer or weaker opponents are easier to beat."""
    old, new = _by_name(versions.old.recipe.baselines), _by_name(versions.new.recipe.baselines)
    renamed = paired_names(_models(versions.old, new), _models(versions.new, old))
    for name in old:
        if name not in new and name not in renamed:
            yield finding("W401", f"baselines.{name}", "no longer compared with", name)
    for name in new:
        if name in renamed.values():
            continue
        if name not in old:
            path = f"baselines.{name}"
            yield finding("W401", path, "one more to beat", after=name, weaker=False)
        elif old[name].kind != new[name].kind:
            says, kinds = "another baseline under the old name", (old[name].kind, new[name].kind)
            yield finding("W402", f"baselines.{name}", says, *kinds)
    yield from _shots(versions, old, new)
    yield from _exchanged(versions, old, new)


def _models(side: Side, without: Container[str]) -> dict[str, object]:
    written = [kind_and_spec(one) for one in side.resolved["baselines"]]
    return {
        str(spec["name"]): {key: spec[key] for key in spec if key not in _OF_NO_ANSWER}
        for kind, spec in written
        if kind == "model" and spec["name"] not in without
    }


def _shots(versions: Versions, old: Baselines, new: Baselines) -> Iterator[Finding]:
    for name in new:
        if name not in old or old[name].kind != new[name].kind:
            continue
        before = shots_asked(old[name], versions.old.recipe)
        after = shots_asked(new[name], versions.new.recipe)
        # Else the labels decide, not the recipe.
        is_asked = old[name].shots or new[name].shots
        if is_asked and before != after:
            path, weaker = f"baselines.{name}.shots", after < before
            yield finding("W402", path, "", str(before), str(after), weaker=weaker)


def shots_asked(baseline: Baseline, recipe: Recipe) -> int:
    """Return the answered examples in each prompt of a baseline, the kind's own number included."""
    from engine.inference.baselines.shots import usual_shots  # only where there are any

    if baseline.kind in ("few_shot", "retrieved_few_shot") and not baseline.shots:
        return usual_shots(baseline.kind, len(recipe.task.labels))
    return baseline.shots


def _exchanged(versions: Versions, old: Baselines, new: Baselines) -> Iterator[Finding]:
    for one in versions.differing:
        if not one.form.startswith(_OF_MODELS):
            continue
        name, key = one.path.split(".")[1], one.form.rpartition(".")[2]
        if key not in _SAME_MODEL or name not in old or name not in new:
            continue
        if not same_content(versions, _ref(old[name]), _ref(new[name])):
            yield finding_of(one, "W402", "another model under the old name")
    for name, baseline in new.items():
        before = _ref(old[name]) if name in old else None
        if other_bytes(versions, before, _ref(baseline)):
            yield finding("W402", f"baselines.{name}", "other bytes at the same path")


def teachers(versions: Versions) -> Iterator[Finding]:
    """W402: the student of a weaker teacher comes near it more easily."""
    old, new = versions.old.recipe.teacher, versions.new.recipe.teacher
    is_bounded = versions.new.recipe.acceptance.against_teacher is not None
    if old is None or new is None or not is_bounded:
        return
    before, after = _ref(old.model), _ref(new.model)
    if other_bytes(versions, before, after):
        yield finding("W402", "teacher.model", "other bytes at the same path")
    for one in versions.differing:
        key = one.form.rpartition(".")[2]
        # a baseline is named by a word, and another one answers otherwise whatever encoder it stands on
        is_other = one.form in ("teacher.model", "teacher.model.shots")
        is_moved = one.form.startswith("teacher.model.") and key in _SAME_MODEL
        if is_other or (is_moved and not same_content(versions, before, after)):
            yield finding_of(one, "W402", "another teacher to be compared with")


def _ref(baseline: Baseline) -> Reference | None:
    return baseline.ref or baseline.gguf


def probes(versions: Versions) -> Iterator[Finding]:
    """W114: what is not asked cannot be seen to be forgotten."""
    old, new = versions.old.recipe.acceptance.forgetting, versions.new.recipe.acceptance.forgetting
    if old is None or new is None:
        # W113, or something more.
        return
    before, after = _by_name(old.probes), _by_name(new.probes)
    pairs = paired_names(_specs(versions.old, after), _specs(versions.new, before))
    renamed = {*pairs, *pairs.values()}
    for one in versions.differing:
        if not one.form.startswith(f"{PROBES}[]"):
            continue
        name, _, key = one.path.removeprefix(f"{PROBES}.").partition(".")
        if name in renamed:
            continue
        if not key:
            is_gone = one.after is None
            says = "no longer asked" if is_gone else "asked too"
            yield finding_of(one, "W114", says, weaker=is_gone)
        elif name not in before or name not in after or key in _PINS:
            continue
        elif not _is_same(versions, key, before[name], after[name]):
            yield _changed(one, key)
    yield from _other_bytes(versions, old, new)
    yield from _drawn(versions, old, new)


def _is_same(versions: Versions, key: str, old: Probe, new: Probe) -> bool:
    if old.source is None or new.source is None:
        return False
    if key == "path":
        return same_content(versions, old.source.ref, new.source.ref)
    return key == "format" and read_as(old.source) == read_as(new.source)


def _drawn(versions: Versions, old: Forgetting, new: Forgetting) -> Iterator[Finding]:
    seed = versions.find(SEED)
    before, after = _by_name(old.probes), _by_name(new.probes)
    names = [
        f"`{name}`" for name in after if name in before and before[name].limit and after[name].limit
    ]
    drawn = [f"other questions are drawn from {', '.join(names)}"] if names else []
    if old.text and new.text and old.text.limit and new.text.limit:
        drawn.append("other documents of the general text are drawn")
    if seed is not None and drawn:
        yield finding_of(seed, "W114", ", ".join(drawn))


def _specs(side: Side, without: Container[str]) -> dict[str, object]:
    probes = side.resolved["acceptance"]["forgetting"]["probes"]
    return {
        one["name"]: {key: one[key] for key in one if key != "name"}
        for one in probes
        if not isinstance(one, str) and one["name"] not in without
    }


def _other_bytes(versions: Versions, old: Forgetting, new: Forgetting) -> Iterator[Finding]:
    before = {probe.name: probe.source.ref for probe in old.probes if probe.source}
    for probe in new.probes:
        if probe.source and other_bytes(versions, before.get(probe.name), probe.source.ref):
            yield finding("W114", f"{PROBES}.{probe.name}", "other questions in the same file")
    texts = [one.text.source for one in (old, new) if one.text and one.text.source]
    if len(texts) == len((old, new)) and other_bytes(versions, texts[0].ref, texts[1].ref):
        yield finding("W114", dotted(GENERAL_TEXT), "other text in the same file")


def _by_name[T: (Baseline, Probe)](items: Iterable[T]) -> dict[str, T]:
    return {one.name: one for one in items}


def _changed(one: ChangedKey, key: str) -> Finding:
    if key != "limit":
        return finding_of(one, "W114", "other questions are asked")
    before, after = (rows_of(value) for value in (one.before, one.after))
    return finding_of(one, "W114", weaker=after < before)
