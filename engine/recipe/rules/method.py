"""Rules about training: ranks of single modules, and sweeps, of which every setting is a sound method."""

import re
from collections.abc import Iterator
from functools import partial
from math import gcd
from typing import Any, Final

from engine.errors import Problem, Severity
from engine.recipe.methods import ADAPTER_KEYS, ATTENTION, method_of
from engine.recipe.rules import CONDITIONS, Problems, condition_problems, rule, value_of
from engine.recipe.rules.acceptance import compared_metric
from engine.recipe.sweeps import MOST, WrittenSetting, count_of, setting_words, written_settings
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema import definition
from engine.values import replace

BACKENDS: Final = ("axolotl", "nanotron", "trl", "unsloth")
_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_OF_A_METHOD: Final = frozenset(
    {"R205", "R206", "R217", "R273", "R345", "R346", "R349", "R350", "R352"}
)
"""Conditions that a setting can break, too."""


@rule("method")
def ranks_fit(recipe: SourceText) -> Problems:
    method, ranks = recipe["method"], recipe["method"].get("ranks", {})
    targets, rank, alpha = method["target_modules"], method["rank"], method.get("alpha")
    targets = ATTENTION if targets == "attention" else targets
    for name, own in ranks.items():
        at = ("method", "ranks", name)
        if not _MODULE.fullmatch(name):
            yield recipe.problem("R347", f"`{name}` is no name of a module", at=at, key=True)
        # Which linear layers there are is known when the base model is at hand.
        elif not isinstance(targets, str) and name not in targets:
            near = suggestion(name, targets, f"modules with an adapter are {', '.join(targets)}")
            yield recipe.problem("R347", f"`{name}` gets no adapter", at=at, key=True, hint=near)
        # The default is twice the rank, or with rslora the same everywhere.
        if alpha is not None and not method.get("rslora") and alpha * own % rank:
            message = f"at rank {own} alpha / rank {alpha / rank:g} needs an alpha of {alpha * own / rank:g}"
            hint = f"write a rank that {rank // gcd(alpha, rank)} divides, or `alpha: {max(1, alpha // rank) * rank}`"
            yield recipe.problem("R348", message, at=at, hint=hint)


@rule("method", "splits", "sweep", "task.kind", "backend")
def settings_are_sound(recipe: SourceText) -> Problems:
    """Yield the problems of each setting that `method` itself does not have, each once."""
    known = {(problem.code, problem.message) for problem in _faults_of_method(recipe)}
    for setting in _settings(recipe):
        filled = {**recipe.filled, "method": setting.within(recipe["method"])}
        for problem in _faults(replace(recipe, filled=filled), setting):
            if (problem.code, problem.message) not in known:
                known.add((problem.code, problem.message))
                yield problem


def _settings(recipe: SourceText) -> list[WrittenSetting]:
    return written_settings(recipe.filled.get("sweep", {}))


def _faults_of_method(recipe: SourceText) -> Iterator[Problem]:
    yield from ranks_fit(recipe)
    for row in CONDITIONS:
        if row[0] in _OF_A_METHOD:
            yield from condition_problems(row, recipe, partial(value_of, recipe))


def _faults(recipe: SourceText, setting: WrittenSetting) -> Problems:
    # Keys of an adapter in `method` are for the other settings.
    for key in ADAPTER_KEYS if recipe["method"]["kind"] == "full" else ():
        if key in setting.changes:
            yield recipe.problem("R204", at=setting.path(key))
    for problem in _faults_of_method(recipe):
        key = problem.path.partition(".")[2].partition("[")[0]
        at = setting.path(key) if key in setting.changes else setting.at
        report = recipe.warning if problem.severity is Severity.WARNING else recipe.problem
        yield report(problem.code, problem.message, at=at, hint=problem.hint)


@rule("method", "splits", "sweep")
def settings_differ(recipe: SourceText) -> Problems:
    # R287 reports a grid that is too large, and only its first part is laid out.
    settings = _settings(recipe) if count_of(recipe.filled.get("sweep", {})) <= MOST else []
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
            yield recipe.problem("R285", message, at=setting.at)
        seen.append(method)


@rule("task.kind", "task.labels", "sweep")
def sweeps_choose_by_a_metric(recipe: SourceText) -> Problems:
    if (name := recipe.filled.get("sweep", {}).get("choose_by")) is not None:
        yield from compared_metric(recipe, name, ("sweep", "choose_by"))
