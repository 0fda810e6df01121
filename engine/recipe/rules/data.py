"""Rules about the rows: where labels come from, which columns hold what, and general text trained with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import inf
from typing import Any, Final

from engine.errors import Problem, listed
from engine.kinds import KINDS
from engine.recipe.prompt import TemplateError, fields
from engine.recipe.references import REPLAY_SOURCES
from engine.recipe.rules.kinds import reads_input
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import with_suggestion
from engine.recipe.validation.schema_errors import show

_AT: Final[KeyPath] = ("data", "replay")
KINDS_OF_TEXT: Final = ("generation", "chat", "text")
"""Whose answers are texts, so that a share of their tokens is some text."""


@rule("task.kind", "data.replay", "base_model")
def replay_fits_the_recipe(recipe: FilledText) -> Problems:
    """R396: general text beside answers of a few tokens.

    The share is one of the tokens that are learned. Of labels, objects and preferences too few are for a share of them
    to be a text.

    Fix: Delete `data.replay`.

    Wrong:
        task:
          kind: classification
        data:
          ▸replay: {from: base_model, share: 0.1}

    Right:
        task:
          kind: classification

    R397: samples of a model that cannot write.

    A blank model writes noise, and one of which layers were taken out is not the model whose abilities are to be kept.

    Fix: Give the text by `data.replay.sources`, such as samples of the whole model.

    Wrong:
        # no labels
        task: {kind: text}
        base_model: {path: ../data, keep_layers: every_second}
        data:
          # no label
          replay: {▸from: base_model, share: 0.1}
        acceptance:
          metrics: {bits_per_byte: {max: 2}}

    Right:
        base_model: {path: ../data}
    """
    kind, replay, base = recipe["task"]["kind"], recipe["data"].get("replay"), recipe["base_model"]
    if replay is not None and kind in KINDS and kind not in KINDS_OF_TEXT:
        message = f"general text is replayed beside {listed(KINDS_OF_TEXT)}, not {kind}"
        yield recipe.problem("R396", message, at=_AT, key=True, hint="delete it")
    if "from" in (replay or {}) and {"scratch", "keep_layers"} & set(base):
        what = "a blank model" if "scratch" in base else "a model without some of its layers"
        message = f"{what} writes no text that is worth keeping"
        yield recipe.problem("R397", message, at=(*_AT, "from"), key=True, hint="name `sources`")


@rule("data.replay")
def replayed_text_only_trains(recipe: FilledText) -> Problems:
    """R398: general text that is put into a split, or weighted.

    It judges nothing, and `share` says how much of it is trained.

    Fix: Delete the key.

    Wrong:
        # no labels
        task: {kind: text}
        data:
          # no label
          replay: {share: 0.1, sources: [{path: ../data/rows.csv, ▸weight: 2}]}
        acceptance:
          metrics: {bits_per_byte: {max: 2}}

    Right:
        data:
          replay: {share: 0.1, sources: [{path: ../data/rows.csv}]}
    """
    for position, written in enumerate(recipe["data"].get("replay", {}).get("sources", ())):
        at = (*REPLAY_SOURCES, position)
        if "into" in written:
            message = "text that is replayed is trained on, and stands in no split"
            yield recipe.problem("R398", message, at=(*at, "into"), key=True, hint="delete it")
        if written["weight"] != 1:
            message = "`share` says how much of the text is trained"
            yield recipe.problem("R398", message, at=(*at, "weight"), key=True, hint="delete it")


_LABEL: Final = ("data", "label")
_MEASURED: Final = (("spans", "of"), ("tags", "of"))
"""Columns of an answer that hold the text it is marked in."""


@rule("task.labels", "data.label")
def targets_are_labels(recipe: FilledText) -> Problems:
    """Relabel and bins lead to labels of the task (R212)."""
    labels, label = recipe["task"].get("labels"), recipe["data"].get("label")
    if labels is None or label is None:
        return
    for value, target in label["relabel"].items():
        if target not in labels:
            yield no_such_label(recipe, target, (*_LABEL, "relabel", value))
    for target in label["bins"]:
        if target not in labels:
            yield no_such_label(recipe, target, (*_LABEL, "bins", target), key=True)


def no_such_label(recipe: FilledText, name: str, at: KeyPath, *, key: bool = False) -> Problem:
    labels, few = recipe["task"].get("labels", []), 12
    known = f"labels are {', '.join(labels)}" if len(labels) <= few else f"{len(labels)} labels"
    hint = with_suggestion(known, name, labels)
    return recipe.problem("R212", f"no such label: {show(name)}", at=at, key=key, hint=hint)


@rule("data.label", "task.labels")
def bins_divide_the_numbers(recipe: FilledText) -> Problems:
    """R214: relabel and bins together.

    A value is looked up or measured, not both.

    Fix: Keep one of them.

    Wrong:
        data:
          label:
            column: stars
            relabel: {"5": bug}
            ▸bins: {billing: {max: 0}, bug: {min: 1}}

    Right:
        data:
          label:
            # no relabel

    R213: bins overlap or are empty.

    Both ends belong to a bin, so a number could have two labels, or a bin no rows.

    Fix: Move the ends apart.

    Wrong:
        data:
          label:
            column: stars
            bins:
              billing: {max: 1}
              ▸bug: {min: 1}

    Right:
        data:
          label:
            bins:
              bug: {min: 2}

    R223: a label that no bin leads to.

    With bins, a label without one has no rows: it can be neither learned nor judged.

    Fix: Add a bin, or delete the label.

    Wrong:
        task:
          labels: [billing, bug]
        data:
          label:
            column: stars
            ▸bins:
              billing: {max: 1}

    Right:
        data:
          label:
            bins:
              bug: {min: 2}
    """
    label, at = recipe["data"].get("label", {}), (*_LABEL, "bins")
    bins: Mapping[str, Any] = label.get("bins", {})
    if bins and label["relabel"]:
        yield recipe.problem("R214", "relabel and bins exclude each other", at=at, key=True)
    ends = {name: (one.get("min", -inf), one.get("max", inf)) for name, one in bins.items()}
    for name, (low, high) in ends.items():
        if low > high:
            message = f"is empty: min {low} is above max {high}"
            yield recipe.problem("R213", message, at=(*at, name), key=True)
    for (one, first), (other, second) in combinations(ends.items(), 2):
        low, high = max(first[0], second[0]), min(first[1], second[1])
        if low <= high:
            where = f"at {low}" if low == high else f"from {low} to {high}"
            message = f"overlaps {show(one)} {where}; both ends belong to a bin"
            yield recipe.problem("R213", message, at=(*at, other), key=True)
    for name in recipe["task"].get("labels", []) if bins else ():
        if name not in bins:
            message = f"no bin leads to {show(name)}, so it would have no rows"
            yield recipe.problem("R223", message, at=at, key=True)


def _fields(template: str) -> tuple[str, ...]:
    """Return the template's columns; none when it is broken, which R215 reports."""
    try:
        return fields(template)
    except TemplateError:
        return ()


@rule("data.sources", "data.label", "data.answer", "task.input", "task.kind")
def columns_are_in_the_header(recipe: FilledText) -> Problems:
    """R227: a column that the header does not list.

    The file has no header line, so its columns are exactly those listed.

    Fix: Correct the column's name or the header.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              header: [text, topics]
          label:
            column: ▸topic

    Right:
        data:
          sources:
            - path: ../data/rows.csv
              header: [text, topic]
    """
    label = recipe["data"].get("label")
    named: list[tuple[KeyPath, str]] = []
    if label is not None:
        named.append((("data", "label", "column"), label["column"]))
    for at, column in _answer_columns(recipe["data"].get("answer")):
        named.append((("data", "answer", *at), column))
    if reads_input(recipe):
        named += [(("task", "input"), column) for column in _fields(recipe["task"]["input"])]
    for at, column in named:
        for position, written in enumerate(recipe["data"]["sources"]):
            header = written["header"]
            if header and column not in header and column.partition(".")[0] not in header:
                message = f"data.sources[{position}] has no column {show(column)}"
                hint = with_suggestion(f"its header lists {', '.join(header)}", column, header)
                yield recipe.problem("R227", message, at=at, hint=hint)


def _answer_columns(answer: Mapping[str, Any] | None) -> Iterator[tuple[KeyPath, str]]:
    """Yield (place below `data.answer`, column) of every column that the answer comes from."""
    if answer is None:
        return
    if answer["column"]:
        yield ("column",), answer["column"]
    for position, column in enumerate(answer["references"]):
        yield ("references", position), column
    for field, column in answer["fields"].items():
        yield ("fields", field), column
    for way in ("spans", "tags"):
        for key in ("column", "of") if way in answer else ():
            yield (way, key), answer[way][key]


@rule("data.label", "data.answer", "task.input")
def input_hides_the_answer(recipe: FilledText) -> Problems:
    """R228: the input shows the label.

    A model that is shown the answer learns to copy it and passes every gate.

    Fix: Take the label's column out of task.input.

    Wrong:
        task:
          input: ▸"{text} {topic}"
        data:
          label:
            column: topic

    Right:
        task:
          input: "{text}"
    """
    label, answer = recipe["data"].get("label"), recipe["data"].get("answer")
    shown = _fields(recipe["task"]["input"])
    if label is not None and label["column"] in shown:
        message = f"shows the model the label's own column {show(label['column'])}"
        yield recipe.problem("R228", message, at=("task", "input"))
    for at, column in _answer_columns(answer):
        # The text in which spans or tags are marked is what the model has to read.
        if column in shown and at not in _MEASURED:
            message = f"shows the model a column of the answer, {show(column)}"
            yield recipe.problem("R228", message, at=("task", "input"))
