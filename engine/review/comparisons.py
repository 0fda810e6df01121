"""What a model is asked or compared with beside its rows: baselines, and probes of what training took away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.model import Baseline, Probe, Recipe, Reference
from engine.recipe.references import GENERAL_TEXT, MODELS
from engine.recipe.text.compose import dotted
from engine.review.compare import (
    Versions,
    finding,
    finding_of,
    other_bytes,
    rows_of,
    same_content,
)
from engine.review.files import read_as
from engine.review.flatten import PROBES

_SAME_MODEL: Final = ("hub", "path", "package", "file", "gguf", "endpoint", "model")
"""Keys that say which model answers; pins are judged as pins."""
_OF_MODELS: Final = tuple(f"baselines[].{kind}." for kind in MODELS)
_PINS = ("revision", "sha256")


def baselines(versions: Versions) -> Iterator[Finding]:
    """W401, W402: fewer or weaker opponents are easier to beat."""
    old, new = _by_name(versions.old.recipe.baselines), _by_name(versions.new.recipe.baselines)
    for name in old:
        if name not in new:
            yield finding("W401", f"baselines.{name}", "no longer compared with", name)
    for name, now in new.items():
        path, was = f"baselines.{name}", old.get(name)
        if was is None:
            yield finding("W401", path, "one more to beat", after=name, weaker=False)
            continue
        if was.kind != now.kind:
            says = "another baseline under the old name"
            yield finding("W402", path, says, was.kind, now.kind)
        # Without shots the labels decide, not the recipe.
        elif was.shots or now.shots:
            before, after = (
                shots_asked(was, versions.old.recipe),
                shots_asked(now, versions.new.recipe),
            )
            if before != after:
                values, weaker = (str(before), str(after)), after < before
                yield finding("W402", f"{path}.shots", "", *values, weaker=weaker)
        for one in versions.differing:
            is_model = one.path.startswith(f"{path}.") and one.form.startswith(_OF_MODELS)
            if (
                is_model
                and one.form.rpartition(".")[2] in _SAME_MODEL
                and not same_content(versions, _ref(was), _ref(now))
            ):
                yield finding_of(one, "W402", "another model under the old name")
        if other_bytes(versions, _ref(was), _ref(now)):
            yield finding("W402", path, "other bytes at the same path")


def shots_asked(baseline: Baseline, recipe: Recipe) -> int:
    """Return the answered examples in each prompt of a baseline, the kind's own number included."""
    from engine.inference.baselines.shots import usual_shots  # only where there are any

    if baseline.kind in ("few_shot", "retrieved_few_shot") and not baseline.shots:
        return usual_shots(baseline.kind, len(recipe.task.labels))
    return baseline.shots


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
    for one in versions.differing:
        name, _, key = one.path.removeprefix(f"{PROBES}.").partition(".")
        if not one.form.startswith(f"{PROBES}[]") or key in _PINS:
            continue
        if not key:
            is_gone = one.after is None
            yield finding_of(
                one, "W114", "no longer asked" if is_gone else "asked too", weaker=is_gone
            )
        elif (
            name in before
            and name in after
            and not _is_same(versions, key, before[name], after[name])
        ):
            says, weaker = "other questions are asked", True
            if key == "limit":
                says, weaker = "", rows_of(one.after) < rows_of(one.before)
            yield finding_of(one, "W114", says, weaker=weaker)
    for name, probe in after.items():
        was = before[name].source if name in before else None
        if was and probe.source and other_bytes(versions, was.ref, probe.source.ref):
            yield finding("W114", f"{PROBES}.{name}", "other questions in the same file")
    texts = [one.text.source for one in (old, new) if one.text and one.text.source]
    if len(texts) == len((old, new)) and other_bytes(versions, texts[0].ref, texts[1].ref):
        yield finding("W114", dotted(GENERAL_TEXT), "other text in the same file")


def _is_same(versions: Versions, key: str, old: Probe, new: Probe) -> bool:
    if old.source is None or new.source is None:
        return False
    if key == "path":
        return same_content(versions, old.source.ref, new.source.ref)
    return key == "format" and read_as(old.source) == read_as(new.source)


def _by_name[T: (Baseline, Probe)](items: Iterable[T]) -> dict[str, T]:
    return {one.name: one for one in items}
