"""Rules about general text that is trained beside the rows: for which tasks, whose text, and how often."""

from __future__ import annotations

from typing import Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.references import REPLAY_SOURCES
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText

_AT: Final[KeyPath] = ("data", "replay")
KINDS_OF_TEXT: Final = ("generation", "chat", "text")
"""Whose answers are texts, so that a share of their tokens is some text."""


@rule("task.kind", "data.replay")
def replay_fits_the_kind(recipe: FilledText) -> Problems:
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
    """
    kind = recipe["task"]["kind"]
    if "replay" not in recipe["data"] or kind not in KINDS or kind in KINDS_OF_TEXT:
        return
    message = f"general text is replayed beside {listed(KINDS_OF_TEXT)}, not {kind}"
    yield recipe.problem("R396", message, at=_AT, key=True, hint="delete it")


@rule("base_model", "data.replay")
def base_model_has_something_to_say(recipe: FilledText) -> Problems:
    """R397: samples of a model that cannot write.

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
        # no labels
        task: {kind: text}
        base_model: {path: ../data}
        data:
          # no label
          replay: {from: base_model, share: 0.1}
        acceptance:
          metrics: {bits_per_byte: {max: 2}}
    """
    base = recipe["base_model"]
    if "from" not in recipe["data"].get("replay", {}) or not {"scratch", "keep_layers"} & set(base):
        return
    what = "a blank model" if "scratch" in base else "a model without some of its layers"
    message = f"{what} writes no text that is worth keeping"
    at = (*_AT, "from")
    yield recipe.problem("R397", message, at=at, key=True, hint="name `sources`")


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
        # no labels
        task: {kind: text}
        data:
          # no label
          replay: {share: 0.1, sources: [{path: ../data/rows.csv}]}
        acceptance:
          metrics: {bits_per_byte: {max: 2}}
    """
    for position, written in enumerate(recipe["data"].get("replay", {}).get("sources", ())):
        at = (*REPLAY_SOURCES, position)
        if "into" in written:
            message = "text that is replayed is trained on, and stands in no split"
            yield recipe.problem("R398", message, at=(*at, "into"), key=True, hint="delete it")
        if written["weight"] != 1:
            message = "`share` says how much of the text is trained"
            yield recipe.problem("R398", message, at=(*at, "weight"), key=True, hint="delete it")
