"""What the tuned model is compared with: baselines that are gone, or weaker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.evidence.review import Effect, Finding
from engine.recipe.baselines import kind_and_spec
from engine.recipe.model import Baseline, Recipe, Reference
from engine.recipe.text.dump import resolved_mapping
from engine.review.compare import Versions, finding_of, other_bytes, same_content

_SAME_MODEL: Final = ("hub", "path", "package", "file", "gguf", "endpoint", "model")
"""Keys that say which model answers; pins are judged as pins."""
_OF_NO_ANSWER: Final = ("name", "api_key_env", "price")
"""Keys of a model that change no answer of it."""


def baselines(versions: Versions) -> Iterator[Finding]:
    """W401, W402: fewer or weaker opponents are easier to beat."""
    old, new = _by_name(versions.old.recipe), _by_name(versions.new.recipe)
    renamed = _renamed(versions, old, new)
    for name in old:
        if name not in new and name not in renamed:
            yield Finding(
                code="W401",
                path=f"baselines.{name}",
                effect=Effect.WEAKER,
                before=name,
                after="",
                says="no longer compared with",
            )
    for name in new:
        if name in renamed.values():
            continue
        if name not in old:
            yield Finding(
                code="W401",
                path=f"baselines.{name}",
                effect=Effect.STRONGER,
                after=name,
                says="one more to beat",
            )
        elif old[name].kind != new[name].kind:
            yield _exchanged(name, old[name].kind, new[name].kind)
    yield from _shots(versions, old, new)
    yield from _models(versions, old, new)


def _renamed(
    versions: Versions, old: Mapping[str, Baseline], new: Mapping[str, Baseline]
) -> dict[str, str]:
    """The same model under another name in reports, by its old name."""
    before = {name: spec for name, spec in _specs(versions.old.recipe).items() if name not in new}
    found: dict[str, str] = {}
    for name, spec in _specs(versions.new.recipe).items():
        was = next((one for one in before if one not in found and before[one] == spec), None)
        if name not in old and was is not None:
            found[was] = name
    return found


def _specs(recipe: Recipe) -> dict[str, Mapping[str, object]]:
    """The settings of the models that can change an answer, by name."""
    written = [kind_and_spec(one) for one in resolved_mapping(recipe)["baselines"]]
    return {
        str(spec["name"]): {key: spec[key] for key in spec if key not in _OF_NO_ANSWER}
        for kind, spec in written
        if kind == "model"
    }


def _exchanged(name: str, before: str, after: str) -> Finding:
    return Finding(
        code="W402",
        path=f"baselines.{name}",
        effect=Effect.WEAKER,
        before=before,
        after=after,
        says="another baseline under the old name",
    )


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
            yield Finding(
                code="W402",
                path=f"baselines.{name}.shots",
                effect=Effect.WEAKER if after < before else Effect.STRONGER,
                before=str(before),
                after=str(after),
            )


def shots_asked(baseline: Baseline, recipe: Recipe) -> int:
    """Return the answered examples in each prompt of a baseline, the kind's own number included."""
    from engine.inference.baselines.shots import usual_shots  # only where there are any

    if baseline.kind in ("few_shot", "retrieved_few_shot") and not baseline.shots:
        return usual_shots(baseline.kind, len(recipe.task.labels))
    return baseline.shots


def _models(
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
            yield finding_of(one, "W402", Effect.WEAKER, "another model under the old name")
    for name, baseline in new.items():
        before = _ref(old[name]) if name in old else None
        if other_bytes(versions, before, _ref(baseline)):
            says = "other bytes at the same path"
            yield Finding(code="W402", path=f"baselines.{name}", effect=Effect.WEAKER, says=says)


def _ref(baseline: Baseline) -> Reference | None:
    return baseline.ref or baseline.gguf
