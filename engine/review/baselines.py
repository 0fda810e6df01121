"""What the tuned model is compared with: baselines that are gone, or weaker."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.baselines import kind_and_spec
from engine.recipe.model import Baseline, Recipe, Reference
from engine.recipe.text.dump import resolved_mapping
from engine.review.compare import (
    Versions,
    finding,
    finding_of,
    other_bytes,
    paired_names,
    same_content,
)

_SAME_MODEL: Final = ("hub", "path", "package", "file", "gguf", "endpoint", "model")
"""Keys that say which model answers; pins are judged as pins."""
_OF_NO_ANSWER: Final = ("name", "api_key_env", "price")
"""Keys of a model that change no answer of it."""


def baselines(versions: Versions) -> Iterator[Finding]:
    """W401, W402: fewer or weaker opponents are easier to beat."""
    old, new = _by_name(versions.old.recipe), _by_name(versions.new.recipe)
    renamed = paired_names(_models(versions.old.recipe, new), _models(versions.new.recipe, old))
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


def _models(recipe: Recipe, without: Container[str]) -> dict[str, object]:
    """The settings of the models that can change an answer, by name."""
    written = [kind_and_spec(one) for one in resolved_mapping(recipe)["baselines"]]
    return {
        str(spec["name"]): {key: spec[key] for key in spec if key not in _OF_NO_ANSWER}
        for kind, spec in written
        if kind == "model" and spec["name"] not in without
    }


def _by_name(recipe: Recipe) -> Mapping[str, Baseline]:
    return {baseline.name: baseline for baseline in recipe.baselines}


def _shots(
    versions: Versions, old: Mapping[str, Baseline], new: Mapping[str, Baseline]
) -> Iterator[Finding]:
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


def _exchanged(
    versions: Versions, old: Mapping[str, Baseline], new: Mapping[str, Baseline]
) -> Iterator[Finding]:
    """Another model behind the same name."""
    for one in versions.differing:
        if not one.form.startswith("baselines[].model."):
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


def _ref(baseline: Baseline) -> Reference | None:
    return baseline.ref or baseline.gguf
