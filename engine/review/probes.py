"""What is asked to see what training took away."""

from __future__ import annotations

from collections.abc import Iterator

from engine.recipe.model import Forgetting
from engine.recipe.review import Effect, Finding
from engine.review.compare import Differing, Pair, finding_of, other_bytes
from engine.review.leaves import PROBES

_PINS = ("revision", "sha256")


def probes(pair: Pair) -> Iterator[Finding]:
    """W114: what is not asked cannot be seen to be forgotten."""
    old, new = pair.old.recipe.acceptance.forgetting, pair.new.recipe.acceptance.forgetting
    if old is None or new is None:
        return  # W113, or something more
    names = (_names(old), _names(new))
    for one in pair.differing:
        if not one.form.startswith(f"{PROBES}[]"):
            continue
        name, _, key = one.path.removeprefix(f"{PROBES}.").partition(".")
        if not key:
            is_gone = one.after is None
            says = "no longer asked" if is_gone else "asked too"
            yield finding_of(one, "W114", Effect.WEAKER if is_gone else Effect.STRONGER, says)
        elif all(name in known for known in names) and key not in _PINS:
            yield _changed(one, key)
    yield from _other_bytes(pair, old, new)


def _other_bytes(pair: Pair, old: Forgetting, new: Forgetting) -> Iterator[Finding]:
    before = {probe.name: probe.source.ref for probe in old.probes if probe.source}
    for probe in new.probes:
        if probe.source and other_bytes(pair, before.get(probe.name), probe.source.ref):
            path, says = f"{PROBES}.{probe.name}", "other questions in the same file"
            yield Finding(code="W114", path=path, effect=Effect.WEAKER, says=says)


def _names(forgetting: Forgetting) -> frozenset[str]:
    return frozenset(probe.name for probe in forgetting.probes)


def _changed(one: Differing, key: str) -> Finding:
    if key != "limit":
        return finding_of(one, "W114", Effect.WEAKER, "other questions are asked")
    before, after = (_most(value) for value in (one.before, one.after))
    return finding_of(one, "W114", Effect.WEAKER if after < before else Effect.STRONGER)


def _most(limit: object) -> float:
    return limit if isinstance(limit, int) and limit else float("inf")
