"""Rules about sweeps: every setting is a sound method, and validation rows choose between several."""

from typing import Any, Final

from engine.errors import Problem, Severity
from engine.recipe.methods import ADAPTER_KEYS, has_validation, method_of
from engine.recipe.rules import Problems, rule
from engine.recipe.rules.acceptance import compared_metric
from engine.recipe.rules.method import (
    loss_has_a_choice,
    numbers_fit_each_other,
    options_are_written_once,
    ranks_and_targets_fit,
)
from engine.recipe.rules.splits import validation_steers
from engine.recipe.sweeps import MOST, WrittenSetting, count_of, setting_words, written_settings
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema import definition
from engine.values import replace

_OF_A_METHOD: Final = (
    numbers_fit_each_other,
    ranks_and_targets_fit,
    loss_has_a_choice,
    options_are_written_once,
    validation_steers,
)
MANY: Final = 16
"""Settings, above which the luck of the validation rows is warned of."""


@rule("method", "splits", "sweep", "task.kind", "backend")
def settings_are_sound(recipe: SourceText) -> Problems:
    """For each setting; faults of `method` itself are reported there (R204 to R206, R217, R273, R345 to R352)."""
    # Compared by words: the same mistake in several settings is one.
    known = {(problem.code, problem.message) for check in _OF_A_METHOD for problem in check(recipe)}
    for setting in _settings(recipe):
        filled = {**recipe.filled, "method": setting.within(recipe["method"])}
        for problem in _faults(replace(recipe, filled=filled), setting):
            if (problem.code, problem.message) not in known:
                known.add((problem.code, problem.message))
                yield problem


def _settings(recipe: SourceText) -> list[WrittenSetting]:
    return written_settings(recipe.filled.get("sweep", {}))


def _faults(recipe: SourceText, setting: WrittenSetting) -> Problems:
    # Keys of an adapter in `method` are for the other settings.
    for key in ADAPTER_KEYS if recipe["method"]["kind"] == "full" else ():
        if key in setting.changes:
            message = f"`{key}` describes an adapter; this setting's kind is `full`"
            hint = "list the settings one by one: `sweep: {list: [...]}`"
            yield recipe.problem("R204", message, at=setting.path(key), hint=hint)
    problems: list[Problem] = [one for check in _OF_A_METHOD for one in check(recipe)]
    for problem in problems:
        key = problem.path.partition(".")[2].partition("[")[0]
        at = setting.path(key) if key in setting.changes else setting.at
        report = recipe.warning if problem.severity is Severity.WARNING else recipe.problem
        yield report(problem.code, problem.message, at=at, hint=problem.hint)


@rule("method", "splits", "sweep")
def settings_differ(recipe: SourceText) -> Problems:
    # R287 reports a grid that is too large, and only its first part is laid out.
    settings = _settings(recipe) if count_of(recipe.filled.get("sweep", {})) <= MOST else []
    if len(settings) == 1:
        message = "one setting leaves nothing to choose"
        hint = f"write it into `method`: {setting_words(settings[0].changes)}; or add a setting"
        yield recipe.problem("R284", message, at=settings[0].at, hint=hint)
    seen: list[Any] = []
    known = definition("method")["properties"].keys()
    for number, setting in enumerate(settings, start=1):
        method = method_of(setting.within(recipe["method"]), recipe.filled)
        if method.kind == "full" and not setting.changes.keys().isdisjoint(ADAPTER_KEYS):
            continue  # R204 reports it
        if setting.changes.keys() - known:
            continue  # R104 reports it: an unknown key changes nothing
        if method in seen:
            message = f"setting {number} is an earlier one again: {setting_words(setting.changes)}"
            hint = "it would be trained twice for one answer: delete it"
            yield recipe.problem("R285", message, at=setting.at, hint=hint)
        seen.append(method)


@rule("splits", "task.kind", "task.labels", "sweep")
def sweeps_choose_by_validation_rows(recipe: SourceText) -> Problems:
    if "sweep" not in recipe.filled:
        return
    at = ("sweep",)
    if not has_validation(recipe.filled):
        message = "the best setting is chosen on validation rows; splits.validation is 0"
        hint = "set `splits.validation` to 40 rows or more"
        yield recipe.problem("R282", message, at=at, key=True, hint=hint)
    if recipe["splits"]["folds"]:
        message = "with folds, the rows that choose a setting are among those that judge it"
        hint = "sweep first with a holdout; then write the setting into `method` and use folds"
        yield recipe.problem("R283", message, at=at, key=True, hint=hint)
    if (name := recipe["sweep"].get("choose_by")) is not None:
        yield from compared_metric(recipe, name, (*at, "choose_by"))


@rule("task.kind", "method", "sweep")
def documents_are_judged_alike(recipe: SourceText) -> Problems:
    length = recipe["method"]["max_length"]
    for setting in () if recipe.kind.has_turns else _settings(recipe):
        if setting.changes.get("max_length", length) != length:
            message = (
                "documents are judged in blocks of max_length: longer blocks alone look better"
            )
            hint = "choose `method.max_length` by what the model is for, and sweep other keys"
            yield recipe.problem("R289", message, at=setting.path("max_length"), hint=hint)
            return


@rule("sweep")
def choice_is_not_mere_luck(recipe: SourceText) -> Problems:
    count = count_of(recipe.filled.get("sweep", {}))
    if count > MOST:
        message = f"must be at most {MOST} settings, this grid has {count}"
        hint = "try fewer values, or list the settings that you believe in"
        yield recipe.problem("R287", message, at=("sweep", "grid"), key=True, hint=hint)
    elif count > MANY:
        message = f"{count} settings are {count} trainings, and the best of so many is partly luck"
        hint = "try fewer values, or two sweeps: a coarse one, and a fine one around its winner"
        yield recipe.warning("R286", message, at=("sweep",), key=True, hint=hint)
