"""Rules about sweeps: every setting is a sound method, and there is something to choose, and to choose by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.recipe.methods import ADAPTER_KEYS, method_of
from engine.recipe.metrics import is_measured
from engine.recipe.rules.acceptance import compared_metric
from engine.recipe.rules.method import (
    alpha_is_not_below_rank,
    batches_divide,
    seeds_are_further_ones,
)
from engine.recipe.rules.splits import validation_steers
from engine.recipe.sweeps import MOST, Tried, count_of, setting_words, tried
from engine.recipe.text.source import SourceText

_OF_A_METHOD: Final = (
    batches_divide,
    alpha_is_not_below_rank,
    seeds_are_further_ones,
    validation_steers,
)
"""Rules that each setting keeps."""
MANY: Final = 16
"""Settings, above which the luck of the validation rows is warned of."""
_AT: Final = ("sweep",)


def settings_are_sound(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R204-R206, R217, R273, for each setting; what `method` itself breaks is told there."""
    told = {_said(problem) for rule in _OF_A_METHOD for problem in rule(source, filled)}
    for one in _tried(filled):
        method = one.within(filled["method"])
        for problem in _broken(source, {**filled, "method": method}, one):
            if _said(problem) not in told:
                told.add(_said(problem))
                yield problem


def _broken(source: SourceText, filled: Mapping[str, Any], one: Tried) -> Iterator[Problem]:
    """Yield what one setting breaks, at the setting."""
    yield from _adapter_of_full(source, filled, one)
    for rule in _OF_A_METHOD:
        for problem in rule(source, filled):
            key = problem.path.partition(".")[2].partition("[")[0]
            at = one.path(key) if key in one.changes else one.at
            tell = source.warning if problem.severity is Severity.WARNING else source.problem
            yield tell(problem.code, problem.message, at=at, hint=problem.hint)


def _adapter_of_full(
    source: SourceText, filled: Mapping[str, Any], one: Tried
) -> Iterator[Problem]:
    """R204: a setting that trains every weight has no adapter; what `method` says of one is for the others."""
    if filled["method"]["kind"] != "full":
        return
    for key in ADAPTER_KEYS:
        if key in one.changes:
            message = f"`{key}` describes an adapter; this setting's kind is `full`"
            hint = "list the settings one by one: `sweep: {list: [...]}`"
            yield source.problem("R204", message, at=one.path(key), hint=hint)


def settings_differ(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R284, R285: there are two settings or more, and no two are the same."""
    settings = _tried(filled) if _count(filled) <= MOST else []
    if len(settings) == 1:
        message = "one setting leaves nothing to choose"
        hint = f"write it into `method`: {setting_words(settings[0].changes)}; or add a setting"
        yield source.problem("R284", message, at=settings[0].at, hint=hint)
    has_validation = filled["splits"].get("validation") != 0
    seen: list[Any] = []
    for number, one in enumerate(settings, start=1):
        method = method_of(one.within(filled["method"]), has_validation=has_validation)
        if method.kind == "full" and not one.changes.keys().isdisjoint(ADAPTER_KEYS):
            continue  # R204 tells of it
        if method in seen:
            message = f"setting {number} is an earlier one again: {setting_words(one.changes)}"
            hint = "it would be trained twice for one answer: delete it"
            yield source.problem("R285", message, at=one.at, hint=hint)
        seen.append(method)


def sweeps_have_validation(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R282: the choice is made on validation rows, never on the holdout."""
    if "sweep" in filled and filled["splits"].get("validation") == 0:
        message = "the best setting is chosen on validation rows; splits.validation is 0"
        hint = "set `splits.validation` to 40 rows or more"
        yield source.problem("R282", message, at=_AT, key=True, hint=hint)


def sweeps_have_no_folds(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R283: the rows that chose would be judged in another fold."""
    if "sweep" in filled and filled["splits"]["folds"]:
        message = "with folds, the rows that choose a setting are among those that judge it"
        hint = "sweep first with a holdout; then write the setting into `method` and use folds"
        yield source.problem("R283", message, at=_AT, key=True, hint=hint)


def choice_is_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R201, R207, R212, R247: what chooses is a metric of the task."""
    if "sweep" not in filled:
        return
    task, name = filled["task"], filled["sweep"].get("choose_by")
    if not is_measured(task["kind"]):
        message = f"there are no metrics for {task['kind']} yet, so nothing could choose"
        yield source.problem("R247", message, at=_AT, key=True, hint="delete it")
    elif name is not None:
        yield from compared_metric(source, name, task=task, at=("sweep", "choose_by"))


def documents_are_judged_alike(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R289: a document is judged in blocks of max_length, so another length is another measure."""
    if filled["task"]["kind"] != "text":
        return
    length = filled["method"]["max_length"]
    for one in _tried(filled):
        if one.changes.get("max_length", length) != length:
            message = (
                "documents are judged in blocks of max_length: longer blocks alone look better"
            )
            hint = "choose `method.max_length` by what the model is for, and sweep other keys"
            yield source.problem("R289", message, at=one.path("max_length"), hint=hint)
            return


def choice_is_not_mere_luck(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R286, a warning: of many settings the luckiest on these rows comes first. R287: there are too many."""
    count = _count(filled)
    if count > MOST:
        message = f"must be at most {MOST} settings, this grid has {count}"
        hint = "try fewer values, or list the settings that you believe in"
        yield source.problem("R287", message, at=("sweep", "grid"), key=True, hint=hint)
    elif count > MANY:
        message = f"{count} settings are {count} trainings, and the best of so many is partly luck"
        hint = "try fewer values, or two sweeps: a coarse one, and a fine one around its winner"
        yield source.warning("R286", message, at=_AT, key=True, hint=hint)


def _tried(filled: Mapping[str, Any]) -> list[Tried]:
    return tried(filled["sweep"]) if "sweep" in filled else []


def _count(filled: Mapping[str, Any]) -> int:
    return count_of(filled["sweep"]) if "sweep" in filled else 0


def _said(problem: Problem) -> tuple[str, str]:
    return problem.code, problem.message
