"""Codes of rows that are not what their kind of task needs: D350 on."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "D350": Code(
        title="the rows have a shape that the kind of task can read",
        why="The first row has the columns of none of the shapes that fit, and the recipe does not "
        "say which columns hold what. Guessing could train on the wrong column.",
        fix="Name the columns: data.answer for generation, data.messages for chat, data.pair for "
        "preference. Or correct task.kind.",
    ),
}
