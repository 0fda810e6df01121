"""Rules about the window that moves over documents where they are judged."""

from __future__ import annotations

from typing import Final

from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText

_AT: Final[KeyPath] = ("acceptance", "stride")


@rule("task.kind", "acceptance", "method.max_length")
def stride_moves_a_window(recipe: FilledText) -> Problems:
    """R399: a stride where no document is judged.

    Answers are judged whole, after all that stands before them. Only documents are longer than what a model reads at
    once.

    Fix: Delete `acceptance.stride`.

    Wrong:
        acceptance:
          metrics: {macro_f1: {min: 0.8}}
          ▸stride: 128

    Right:
        acceptance:
          metrics: {macro_f1: {min: 0.8}}

    R400: a stride that is as long as the window.

    A window of `method.max_length` tokens that moves by as many holds nothing before what it judges: these are the
    blocks that are judged without a stride.

    Fix: Write a smaller stride, such as half of `method.max_length`, or none.

    Wrong:
        # no labels
        task: {kind: text}
        data:
          # no label
        method: {kind: lora, max_length: 256}
        acceptance:
          metrics: {bits_per_byte: {max: 2}}
          stride: ▸256

    Right:
        # no labels
        task: {kind: text}
        data:
          # no label
        method: {kind: lora, max_length: 256}
        acceptance:
          metrics: {bits_per_byte: {max: 2}}
          stride: 128
    """
    acceptance = recipe["acceptance"]
    stride = acceptance.get("stride")
    if stride is None:
        return
    forgets = (acceptance.get("forgetting") or {}).get("text")
    if recipe["task"]["kind"] != "text" and forgets is None:
        message = "no documents are judged, which a window could move over"
        yield recipe.problem("R399", message, at=_AT, key=True, hint="delete it")
    elif stride >= recipe["method"]["max_length"]:
        most = recipe["method"]["max_length"]
        message = f"a window of {most} tokens has to move by fewer"
        yield recipe.problem(
            "R400", message, at=_AT, hint=f"write {max(1, most // 2)}, or delete it"
        )
