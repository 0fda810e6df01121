"""Codes of rendering examples for a model (D393, D394; D390 to D392 stand in `data`), and of showing them."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "D393": Code(
        title="the chat template writes earlier turns as they were learned",
        why="Some templates rewrite the history once another turn follows: they leave out the"
        " thinking of earlier answers, say. A turn learned in the middle of such a chat would be"
        " learned in a form that the model never sees. So only the last answer of the chat is"
        " learned, after a history as the template writes it.",
        fix="Nothing needs to be done. To learn from every answer, cut such chats into one row for"
        " each answer, or use a base model whose template keeps the history.",
    ),
    "D394": Code(
        title="the chat template writes the whole chat",
        why="A template without a place for tools leaves the calls and the tools out without a"
        " word. The model would learn to say nothing where it should call a function.",
        fix="Use a base model whose chat template knows tools, or take rows with tools out of the"
        " data.",
    ),
    "D395": Code(
        title="a row that is to be shown is in a split",
        why="A row that a check dropped, or that no split needed, is not rendered for anything.",
        fix="Name the row as `recipe data` names it: FILE:LINE, such as `reviews.csv:17`, or the"
        " 16 digits of its id. `recipe data RECIPE` says what was dropped and why.",
    ),
    "D396": Code(
        title="a class that is to be shown is one of the task's",
        why="Only `task.labels` are classes; values of the data that are mapped to a label are not.",
        fix="Name a label of the recipe: `recipe data RECIPE --class LABEL`.",
    ),
}
