"""What the tuned model is compared with: baselines that are gone, or weaker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.recipe.model import Baseline, Recipe
from engine.recipe.review import Effect, Finding
from engine.review.compare import Pair, finding_of, other_bytes

_SAME_MODEL: Final = (*("hub", "path", "package", "file", "gguf", "endpoint", "model"),)
"""Keys that say which model answers; pins are judged as pins."""


def baselines(pair: Pair) -> Iterator[Finding]:
    """W401, W402: fewer or weaker opponents are easier to beat."""
    old, new = _by_name(pair.old.recipe), _by_name(pair.new.recipe)
    for name in old:
        if name not in new:
            yield Finding(
                code="W401",
                path=f"baselines.{name}",
                effect=Effect.WEAKER,
                before=name,
                after="",
                says="no longer compared with",
            )
    for name in new:
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
    yield from _shots(pair, old, new)
    yield from _models(pair, old, new)


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
    pair: Pair, old: Mapping[str, Baseline], new: Mapping[str, Baseline]
) -> Iterator[Finding]:
    for name in new:
        if name not in old or old[name].kind != new[name].kind:
            continue
        before = shots_asked(old[name], pair.old.recipe)
        after = shots_asked(new[name], pair.new.recipe)
        is_asked = old[name].shots or new[name].shots  # else the labels decide, not the recipe
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
    from engine.stages.baselines.shots import usual_shots  # noqa: PLC0415 - only where there are any

    if baseline.kind in ("few_shot", "retrieved_few_shot") and not baseline.shots:
        return usual_shots(baseline.kind, len(recipe.task.labels))
    return baseline.shots


def _models(
    pair: Pair, old: Mapping[str, Baseline], new: Mapping[str, Baseline]
) -> Iterator[Finding]:
    """Another model behind the same name."""
    for one in pair.differing:
        if not one.form.startswith("baselines[].model."):
            continue
        name, key = one.path.split(".")[1], one.form.rpartition(".")[2]
        if key in _SAME_MODEL and name in old and name in new:
            yield finding_of(one, "W402", Effect.WEAKER, "another model under the old name")
    for name, baseline in new.items():
        before = old[name].ref or old[name].gguf if name in old else None
        if other_bytes(pair, before, baseline.ref or baseline.gguf):
            says = "other bytes at the same path"
            yield Finding(code="W402", path=f"baselines.{name}", effect=Effect.WEAKER, says=says)
