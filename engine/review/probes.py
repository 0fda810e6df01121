"""What is asked to see what training took away."""

from __future__ import annotations

from collections.abc import Container, Iterator

from engine.evidence.review import Finding
from engine.recipe.model import Forgetting, Probe, Recipe
from engine.recipe.text.dump import resolved_mapping
from engine.review.compare import (
    ChangedKey,
    Versions,
    finding,
    finding_of,
    other_bytes,
    paired_names,
    same_content,
)
from engine.review.flatten import PROBES
from engine.review.row_format import read_as

_PINS = ("revision", "sha256")
SEED = "splits.seed"
"""It draws the questions of a set that is not asked whole."""


def probes(versions: Versions) -> Iterator[Finding]:
    """W114: what is not asked cannot be seen to be forgotten."""
    old, new = versions.old.recipe.acceptance.forgetting, versions.new.recipe.acceptance.forgetting
    if old is None or new is None:
        # W113, or something more.
        return
    before, after = _by_name(old), _by_name(new)
    pairs = paired_names(_specs(versions.old.recipe, after), _specs(versions.new.recipe, before))
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
    yield from _drawn(versions, before, after)


def _is_same(versions: Versions, key: str, old: Probe, new: Probe) -> bool:
    """Return whether a key that differs still means the same questions."""
    if old.source is None or new.source is None:
        return False
    if key == "path":
        return same_content(versions, old.source.ref, new.source.ref)
    return key == "format" and read_as(old.source) == read_as(new.source)


def _drawn(versions: Versions, old: dict[str, Probe], new: dict[str, Probe]) -> Iterator[Finding]:
    """Where not all questions are asked, the seed of the splits draws them."""
    seed = versions.find(SEED)
    drawn = [name for name in new if name in old and old[name].limit and new[name].limit]
    if seed is not None and drawn:
        names = ", ".join(f"`{name}`" for name in drawn)
        says = f"other questions are drawn from {names}"
        yield finding_of(seed, "W114", says)


def _specs(recipe: Recipe, without: Container[str]) -> dict[str, object]:
    """The settings of each set of probes, by its name."""
    probes = resolved_mapping(recipe)["acceptance"]["forgetting"]["probes"]
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


def _by_name(forgetting: Forgetting) -> dict[str, Probe]:
    return {probe.name: probe for probe in forgetting.probes}


def _changed(one: ChangedKey, key: str) -> Finding:
    if key != "limit":
        return finding_of(one, "W114", "other questions are asked")
    before, after = (_most(value) for value in (one.before, one.after))
    return finding_of(one, "W114", weaker=after < before)


def _most(limit: object) -> float:
    return limit if isinstance(limit, int) and limit else float("inf")
