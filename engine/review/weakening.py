"""The effect of a change of one key on the evidence: by the schema, or for a few keys by the table here."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.evidence.review import Finding
from engine.lock.file import lock_path
from engine.recipe.metrics import LIKELIHOODS
from engine.recipe.model import HubRef, Json, PackageRef, PathRef, Recipe, Reference
from engine.recipe.references import GENERAL_TEXT, probes_of
from engine.recipe.text.compose import dotted
from engine.recipe.text.paths import absolute
from engine.recipe.validation.schema import ORDER, Weakening, Weaker, weakenings
from engine.review.compare import (
    OVERRIDES,
    PROBES,
    ChangedKey,
    finding,
    finding_of,
    is_smaller,
    rows_of,
)
from engine.review.holdout import decides
from engine.review.pairs import Versions, is_read_alike
from engine.values import Value

_PINS: Final = ("revision", "sha256")
_ITEMS: Final = ("baselines[]", f"{PROBES}[]")
"""Items of lists that go by name: one more makes the gate stronger, and says all of its keys."""
AGREEMENT: Final = "data.synthesize.keep.agreement."
RELABEL: Final = "data.label.relabel."
TEXT: Final = dotted(GENERAL_TEXT)
_BOUNDS: Final = re.compile(
    r"acceptance\.(metrics|over_baselines|over_previous|over_without_synthetic|against_teacher|overfitting"
    r"|forgetting(?!\.probes\.)|drift|selective)\b"
)
_SECTIONS: Final[tuple[tuple[str, Callable[[Recipe], object]], ...]] = (
    ("export.after_quantization", lambda recipe: recipe.export.has_quantized_file),
    (rf"{PROBES}", lambda recipe: recipe.acceptance.forgetting),
    (rf"{TEXT}\.(?!bits_per_byte)", lambda recipe: recipe.acceptance.forgetting and recipe.acceptance.forgetting.text),
    (r"data\.synthesize\.(keep|review)|acceptance\.(over_without_)?synthetic\.", lambda recipe: recipe.data.synthesize),
    # the student of a weaker teacher comes near it more easily
    (r"teacher\.model", lambda recipe: recipe.teacher),
)  # fmt: skip
"""Keys that speak of something that both versions must have, since another finding says that it is gone."""


def of_keys(versions: Versions) -> Iterator[Finding]:
    """Yield what each key that differs does to the evidence, files and rows left aside."""
    old, new = versions.old.recipe, versions.new.recipe
    items = tuple(f"{one.path}." for one in versions.differing if one.form in _ITEMS)
    for one in versions.differing:
        if one.path.startswith(items) or _is_reported_elsewhere(one, versions):
            continue
        known = weakenings().get(one.form, Weakening())
        weaker = weakens(known, one.before, one.after)
        code = known.gone if known.gone and None in (one.before, one.after) else known.code
        says = ""
        if (reviewed := _REVIEWED.get(one.form)) is not None:
            code, weaker, says = reviewed.code, reviewed.weaker(one, old, new), reviewed.says
        elif one.form in _ITEMS and None in (one.before, one.after):
            code = "W401" if one.form == "baselines[]" else code
            weaker = one.after is None
        if weaker is not None:
            yield finding_of(one, code, says, weaker=weaker)
    for path in sorted(versions.other_bytes):
        if path.startswith((PROBES, TEXT)):
            yield finding("W114", path, "other questions, or another text, in the same file")
        elif path.startswith("baselines.") or (path == "teacher.model" and _bounds_teacher(new)):
            yield finding("W402", path, "other bytes at the same path")
    had, has = (any(map(_BOUNDS.match, keys)) for keys in (versions.before, versions.after))
    if had and not has:
        yield finding("W103", "acceptance", "nothing must hold any more: every model passes")
    yield from _agreement(versions)


def _is_reported_elsewhere(one: ChangedKey, versions: Versions) -> bool:
    """Return whether a key is a pin, leads to the same bytes, or speaks of what only one version has."""
    old, new = versions.old.recipe, versions.new.recipe
    above, _, key = one.path.rpartition(".")
    if key in _PINS or decides(one, versions):
        return True
    if any(re.match(form, one.form) and not (has(old) and has(new)) for form, has in _SECTIONS):
        return True
    if one.form.startswith("teacher.model") and not _bounds_teacher(new):
        return True
    if one.path.startswith(RELABEL):
        # a label that stands for itself
        value = one.path.removeprefix(RELABEL)
        return all(it in (None, value) for it in (one.before, one.after))
    if one.form == f"{PROBES}[].format":
        sources = [
            probe.source
            for recipe in (old, new)
            for probe in probes_of(recipe)
            if probe.source and f"{PROBES}.{probe.name}" == above
        ]
        return len(sources) > 1 and is_read_alike(*sources)
    is_place = one.form.startswith((*_ITEMS, "teacher.model.")) and key in ("path", "gguf")
    return is_place and versions.same_content(above)


def _bounds_teacher(recipe: Recipe) -> bool:
    return recipe.acceptance.against_teacher is not None


def weakens(key: Weakening, before: Json, after: Json) -> bool | None:
    """Return whether a change of a key weakens the evidence; None for no effect, or where a function says it."""
    match key.weaker:
        case Weaker.CHANGED:
            return True
        case Weaker.OFF | Weaker.ON:
            # of a section that one of the versions does not have, nothing was turned off
            is_new = key.weaker is Weaker.OFF and None in (before, after)
            return None if is_new else after is (key.weaker is Weaker.ON)
        case Weaker.RELAXED:
            return ORDER.index(str(after)) > ORDER.index(str(before))
        case Weaker.LOWER | Weaker.HIGHER:
            has_bounds = isinstance(before, int | float), isinstance(after, int | float)
            is_lower = key.weaker is Weaker.LOWER
            # Without a bound everything passes.
            return not has_bounds[1] or (has_bounds[0] and (after < before) is is_lower)  # type: ignore[operator]
        case Weaker.FEWER:
            return rows_of(after) < rows_of(before)
        case _:
            return None


def _agreement(versions: Versions) -> Iterator[Finding]:
    """W212: fewer votes, or another judge, keep a synthetic row."""
    old, new = versions.old.recipe.data.synthesize, versions.new.recipe.data.synthesize
    agreed = [one for one in versions.differing if one.form.startswith(AGREEMENT)]
    if old is None or new is None or not agreed:
        return
    before, after = (
        it.agreement.min / it.agreement.votes if it.agreement.votes else 0.0 for it in (old, new)
    )
    if before != after:
        yield finding_of(agreed[0], "W212", weaker=after < before)
    elif any(one.form.startswith(f"{AGREEMENT}judge") for one in agreed):
        yield finding_of(agreed[0], "W212", "another judge")


class _Reviewed(NamedTuple):
    """A key of which not the direction alone decides."""

    code: str
    weaker: Callable[[ChangedKey, Recipe, Recipe], bool | None]
    """None where this change says nothing about the evidence."""
    says: str = ""
    """The meaning, where the two values do not show it."""


def _shots(key: ChangedKey, _: Recipe, __: Recipe) -> bool:
    # without shots the labels decide how many, which may be more
    return not (key.before and key.after and rows_of(key.after) >= rows_of(key.before))


def _chooses(key: ChangedKey, old: Recipe, new: Recipe) -> bool | None:
    """A model that the validation rows chose looks better on them than it is."""
    chooses = key.after == "best" if key.path == "method.keep" else key.before is None
    gaps = (old.acceptance.max_overfitting_gap, new.acceptance.max_overfitting_gap)
    return (chooses and None not in gaps) or None


def _fewer_seeds(_: ChangedKey, old: Recipe, new: Recipe) -> bool | None:
    # Other seeds in the place of old ones say as much; fewer show luck.
    before, after = len(old.method.seeds), len(new.method.seeds)
    return None if before == after else after < before


def _more_references(key: ChangedKey, _: Recipe, __: Recipe) -> bool:
    # With more right answers the same answers are right more often.
    before, after = (it if isinstance(it, list) else [] for it in (key.before, key.after))
    return not set(before) >= set(after)


def _other_schema(key: ChangedKey, _: Recipe, __: Recipe) -> bool | None:
    is_there = None not in (key.before, key.after)
    return (is_there and _asked(key.before) != _asked(key.after)) or None


_WORDS: Final = frozenset({"title", "description", "examples", "$comment", "default", "$schema"})


def _asked(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    return {
        word: {name: _asked(one) for name, one in value.items()}
        if word in ("properties", "$defs")
        else _asked(value)
        for word, value in schema.items()
        if word not in _WORDS
    }


def _bounds(recipe: Recipe, metrics: Collection[str]) -> bool:
    return any(one.metric in metrics for one in recipe.acceptance.metrics)


_CHOSEN: Final = _Reviewed(
    "W209", _chooses, "the rows that `acceptance.overfitting` compares with now choose the model"
)
_REVIEWED: Final = {
    # A value without its interval passes by luck.
    "acceptance.decide_on": _Reviewed("W105", lambda key, *_: key.after == "point"),
    "name": _Reviewed(
        "W109", lambda _, __, new: bool(new.acceptance.over_previous) or None,
        "the last accepted model is found by the old name, so `over_previous` has no rival",
    ),
    # Fewer rows choose the checkpoint and show overfitting.
    "splits.validation": _Reviewed(
        "W204", lambda _, old, new: is_smaller(old.splits.validation, new.splits.validation)
    ),
    "method.early_stopping.patience": _CHOSEN,
    "method.keep": _CHOSEN,
    "sweep.list[]": _CHOSEN,
    "method.seeds[]": _Reviewed("W210", _fewer_seeds),
    OVERRIDES: _Reviewed("W601", lambda key, *_: key.after is not None, "past the recipe language"),
    "task.output": _Reviewed(
        # Bare text is valid more easily than JSON.
        "W702", lambda key, _, new: key.after == "text" if _bounds(new, ("valid_output",)) else None,
        "`valid_output` is bounded, and counts another form",
    ),
    "data.answer.references[]": _Reviewed("W702", _more_references, "other answers count as right"),
    # Its rows are no longer distinguished from the others.
    "task.labels[]": _Reviewed("W701", lambda _, old, new: not set(old.task.labels) <= set(new.task.labels) or None),
    "task.schema": _Reviewed("W702", _other_schema, "other answers are valid by the schema"),
    "method.max_length": _Reviewed(
        "W702", lambda _, __, new: _bounds(new, LIKELIHOODS) or None,
        "likelihood is bounded, and measured over texts of another length",
    ),
    # 0 stands for the longest answer of the training rows.
    "task.max_new_tokens": _Reviewed(
        "W402", lambda key, _, new: (bool(new.baselines) and rows_of(key.after) < rows_of(key.before)) or None,
        "answers of the baselines are cut off earlier",
    ),
    "data.synthesize.review": _Reviewed("W214", lambda key, *_: key.after is None),
    **{f"baselines[].{kind}.shots": _Reviewed("W402", _shots) for kind in ("few_shot", "retrieved_few_shot", "model")},
}  # fmt: skip


_UNPINNED: Final = "not pinned"
_DIGITS: Final = 12


class _Pin(Value):
    key: str
    value: str | None
    what: tuple[str, ...]
    name: str
    """The reference in words, as a thing that cannot be compared without the pin."""
    version: str = ""
    needed: bool = True
    """Without it the bytes can change unseen; a local file stands in the same place, at least."""


def _pin(ref: Reference) -> _Pin:
    match ref:
        case HubRef():
            name = f"`{ref.repo}` without a revision"
            return _Pin(key="revision", value=ref.revision, what=("hub", ref.repo), name=name)
        case PackageRef():
            # To the package index, names in upper and lower case are the same package.
            what, name = ("package", ref.name.lower()), f"`{ref.name}` without a sha256"
            return _Pin(key="sha256", value=ref.sha256, what=what, name=name, version=ref.version)
        case PathRef():
            name = f"`{ref.pattern or ref.written}`, whose bytes git does not hold"
            return _Pin(key="sha256", value=ref.sha256, what=("path",), name=name, needed=False)


def pins(versions: Versions) -> Iterator[Finding]:
    """W501, W502, W504: pins that are gone, that moved, and new references without one."""
    for path, (before, after) in versions.references.items():
        if not after:
            continue
        old, new = _pin(before[0]) if before else None, _pin(after[0])
        same = old if old is not None and old.what == new.what else None
        if new.value is None:
            if old is not None and old.value is not None and (new.needed or same):
                yield finding("W501", f"{path}.{new.key}", "", _short(old.value), _UNPINNED)
            elif new.needed and not same:
                yield finding("W504", path, f"{_UNPINNED}: add `{new.key}`")
        # Something else that is pinned is no finding.
        elif same and same.value != new.value:
            was_pinned = same.value is not None
            code, values = "W502" if was_pinned else "W501", (_short(same.value), _short(new.value))
            yield finding(code, f"{path}.{new.key}", "", *values, weaker=was_pinned)
        if same and same.version != new.version:
            yield finding("W502", f"{path}.package", "", same.version, new.version)


def _short(value: str | None) -> str:
    if value is None:
        return _UNPINNED
    return f"{value[:_DIGITS]}…" if len(value) > _DIGITS else value


def uncompared(versions: Versions) -> tuple[str, ...]:
    """Return what may be other bytes now without anybody seeing it, as the recipe calls it."""
    found = []
    for path, (before, after) in versions.references.items():
        # What is new is shown as a change anyway.
        known = {_pin(ref).name for ref in before}
        names = (_pin(ref).name for ref in after if not _is_known(ref, versions))
        found += [name for name in names if name in known and path != "base_model"]
    baselines = versions.new.recipe.baselines
    served = (f"`{one.name}`, whose model a server chooses" for one in baselines if one.endpoint)
    return tuple(dict.fromkeys((*found, *served, *_own_files(versions))))


def _is_known(ref: Reference, versions: Versions) -> bool:
    if _pin(ref).value is not None:
        return True
    # Outside the project, a file is not allowed to be read.
    if not isinstance(ref, PathRef) or ref.withheld:
        return False
    old, new = versions.old.tree, versions.new.tree
    return new.keeps(ref.path) and (
        old.keeps(ref.path) or old.identity(ref.path) != new.identity(ref.path)
    )


def _own_files(versions: Versions) -> Iterator[str]:
    """Yield the recipe, its parent and its lock where git does not hold them."""
    old, new = versions.old, versions.new
    if not (new.tree.keeps(new.path) and old.tree.keeps(old.path)):
        yield f"`{new.path.name}`, the recipe, which git does not hold"
    if new.recipe.extends:
        parent = absolute(new.recipe.extends, new.recipe.file.parent)
        if not (old.tree.keeps(parent) and new.tree.keeps(parent)):
            yield f"`{new.recipe.extends}`, the parent, which git does not hold"
    lock = lock_path(new.recipe.file)
    if old.lock is None and new.lock is not None and new.tree.ignores(lock):
        yield f"`{lock.name}`, which git ignores"
