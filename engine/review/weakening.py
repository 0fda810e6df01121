"""What a change of one key does to the evidence: as the schema says, or as a few keys say here."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.evidence.review import Finding
from engine.recipe.metrics import LIKELIHOODS
from engine.recipe.model import Baseline, Json, Probe, Recipe
from engine.recipe.references import GENERAL_TEXT
from engine.recipe.text.compose import dotted
from engine.recipe.validation.schema import ORDER, Weakening, Weaker, weakenings
from engine.review.compare import (
    OVERRIDES,
    PROBES,
    ChangedKey,
    Versions,
    cropped,
    finding,
    finding_of,
    is_smaller,
    other_bytes,
    rows_of,
    same_content,
)
from engine.review.files import read_as
from engine.review.holdout import decides

_SAME_MODEL: Final = ("hub", "path", "package", "file", "gguf", "endpoint", "model")
"""Keys that say which model answers; pins are judged as pins."""
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
        # without shots the labels decide how many, which may be more
        elif shots := versions.find(f"{path}.shots"):
            weaker = not (was.shots and now.shots >= was.shots)
            yield finding_of(shots, "W402", weaker=weaker)
        yield from _other_model(versions, path, was, now, "another model under the old name")


def teachers(versions: Versions) -> Iterator[Finding]:
    """W402: the student of a weaker teacher comes near it more easily."""
    old, new = versions.old.recipe.teacher, versions.new.recipe.teacher
    is_bounded = versions.new.recipe.acceptance.against_teacher is not None
    if old is None or new is None or not is_bounded:
        return
    says = "another teacher to be compared with"
    for one in versions.differing:
        # a baseline is named by a word, and another one answers otherwise whatever encoder it stands on
        if one.form in ("teacher.model", "teacher.model.shots"):
            yield finding_of(one, "W402", says)
    yield from _other_model(versions, "teacher.model", old.model, new.model, says)


def _other_model(
    versions: Versions, path: str, old: Baseline, new: Baseline, says: str
) -> Iterator[Finding]:
    refs = tuple(one.ref or one.gguf for one in (old, new))
    for one in versions.differing:
        is_model = one.path.startswith(f"{path}.") and one.form.rpartition(".")[2] in _SAME_MODEL
        if is_model and not same_content(versions, *refs):
            yield finding_of(one, "W402", says)
    if other_bytes(versions, *refs):
        yield finding("W402", path, "other bytes at the same path")


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


AGREEMENT: Final = "data.synthesize.keep.agreement."
RELABEL: Final = "data.label.relabel."
TEXT: Final = dotted(GENERAL_TEXT)
_BOUNDS: Final = re.compile(
    r"acceptance\.(metrics|over_baselines|over_previous|over_without_synthetic|against_teacher|overfitting"
    r"|forgetting(?!\.probes\.)|drift|selective)\b"
)
_SECTIONS: Final[tuple[tuple[str, Callable[[Recipe], object]], ...]] = (
    ("export.after_quantization", lambda recipe: recipe.export.has_quantized_file),
    (rf"{TEXT}\.(?!bits_per_byte)", lambda recipe: recipe.acceptance.forgetting and recipe.acceptance.forgetting.text),
    (r"data\.synthesize\.(keep|review)|acceptance\.(over_without_)?synthetic\.", lambda recipe: recipe.data.synthesize),
)  # fmt: skip
"""Keys that speak of something that both versions must have, since another finding says that it is gone."""


def of_keys(versions: Versions) -> Iterator[Finding]:
    """Yield what each key that differs does to the evidence, files and rows left aside."""
    sides = (versions.old.recipe, versions.new.recipe)
    for one in versions.differing:
        if any(re.match(form, one.form) and not all(map(has, sides)) for form, has in _SECTIONS):
            continue
        # One more baseline is one more to beat, as W401 says.
        is_new = ".".join(one.path.split(".")[:2]) not in versions.before
        value = one.path.removeprefix(RELABEL)
        is_own = value != one.path and all(it in (None, value) for it in (one.before, one.after))
        is_skipped = is_own or (is_new and one.form.startswith("baselines[]."))
        known = weakenings().get(one.form, Weakening())
        weaker = weakens(known, one.before, one.after)
        if not (weaker is None or is_skipped or decides(one, versions)):
            code = known.gone if known.gone and None in (one.before, one.after) else known.code
            yield finding_of(one, code, weaker=weaker)
        yield from _of_the_gate(one, versions)
        yield from _of_the_task(one, versions)
    if any(map(_BOUNDS.match, versions.before)) and not any(map(_BOUNDS.match, versions.after)):
        yield finding("W103", "acceptance", "nothing must hold any more: every model passes")
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


def _of_the_gate(one: ChangedKey, versions: Versions) -> Iterator[Finding]:
    """How bounds are decided, which rows choose the model, what goes past the recipe language."""
    old, new = versions.old.recipe, versions.new.recipe
    match one.path:
        case "acceptance.decide_on":
            # A value without its interval passes by luck.
            yield finding_of(one, "W105", weaker=one.after == "point")
        case "name" if new.acceptance.over_previous:
            says = (
                "the last accepted model is found by the old name, so `over_previous` has no rival"
            )
            yield finding_of(one, "W109", says)
        case "splits.validation":
            # Fewer rows choose the checkpoint and show overfitting.
            smaller = is_smaller(old.splits.validation, new.splits.validation)
            if smaller is not None:
                yield finding_of(one, "W204", weaker=smaller)
        case "method.early_stopping.patience" | "method.keep" | "sweep":
            # A model that the validation rows chose looks better on them than it is.
            chooses = one.after == "best" if one.path == "method.keep" else one.before is None
            gaps = (old.acceptance.max_overfitting_gap, new.acceptance.max_overfitting_gap)
            if chooses and None not in gaps:
                says = "the rows that `acceptance.overfitting` compares with now choose the model"
                yield finding_of(one, "W209", says)
        # Other seeds in the place of old ones say as much; fewer show luck.
        case "method.seeds" if more := len(new.method.seeds) - len(old.method.seeds):
            yield finding_of(one, "W210", weaker=more < 0)
        case _ if one.form == OVERRIDES:
            says = "past the recipe language" if one.before is None else ""
            is_gone = one.after is None
            says = "the recipe decides again" if is_gone else says
            yield finding_of(one, "W601", says, weaker=not is_gone)


def _of_the_task(one: ChangedKey, versions: Versions) -> Iterator[Finding]:
    """What counts as an answer, and as a right one; other tokens, lengths or ratings under a bound on them."""
    old, new = versions.old.recipe, versions.new.recipe
    match one.path:
        case "task.output" if any(it.metric == "valid_output" for it in new.acceptance.metrics):
            # Bare text is valid more easily than JSON.
            says = "`valid_output` is bounded, and counts another form"
            yield finding_of(one, "W702", says, weaker=one.after == "text")
        case "data.answer.references":
            # With more right answers the same answers are right more often.
            before, after = (it if isinstance(it, list) else [] for it in (one.before, one.after))
            weaker = not set(before) >= set(after)
            says = f"{'more' if weaker else 'fewer'} answers count as right"
            yield finding_of(one, "W702", says, weaker=weaker)
        case "task.labels" if gone := [it for it in old.task.labels if it not in new.task.labels]:
            # Its rows are no longer distinguished from the others.
            more = [it for it in new.task.labels if it not in old.task.labels]
            also = f"; new: {_listed(more)}" if more else ""
            yield finding_of(one, "W701", f"no longer a label: {_listed(gone)}{also}")
        case "task.schema" if one.before is not None and one.after is not None:
            if _asked(one.before) != _asked(one.after):
                yield finding_of(one, "W702", "other answers are valid by the schema")
        case "method.max_length" if any(it.metric in LIKELIHOODS for it in new.acceptance.metrics):
            says = "likelihood is bounded, and measured over texts of another length"
            yield finding_of(one, "W702", says)
        # 0 stands for the longest answer of the training rows.
        case "task.max_new_tokens" if new.baselines and rows_of(one.after) < rows_of(one.before):
            yield finding_of(one, "W402", "answers of the baselines are cut off earlier")
        case "data.synthesize.review":
            says = "another file" if one.after else ""
            yield finding_of(one, "W214", says, weaker=one.after is None)


def _listed(words: Sequence[str]) -> str:
    return cropped(", ".join(f"`{word}`" for word in words))


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
