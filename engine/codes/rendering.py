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
    "D410": Code(
        title="rows are left out of training",
        why="`data.checks.truncation: drop` leaves out rows that are longer than `method.max_length`, and"
        " `template_tokens: drop` rows that hold markers of the chat template. Steps and epochs are those of the rows"
        " that are left.",
        fix="Raise `method.max_length`, shorten the rows, or say `truncation: warn`, which cuts them.",
    ),
    "D411": Code(
        title="rows are cut",
        why="`data.checks.truncation: warn` and `off` shorten the text of rows that are longer than"
        " `method.max_length`; what was cut off is not learned from.",
        fix="Raise `method.max_length`, or say `truncation: drop`.",
    ),
    "D412": Code(
        title="rows are longer than what the base model can read",
        why="Beyond `max_position_embeddings` a model has not been trained: its answers there mean little, and some"
        " architectures fail.",
        fix="Shorten the rows, or use a base model with a longer window.",
    ),
    "D413": Code(
        title="rows of the holdout are longer than any that is trained on",
        why="Every holdout row is asked whole, also those longer than `method.max_length`: the model is judged on"
        " lengths that it was not trained on.",
        fix="Raise `method.max_length`, or shorten the rows.",
    ),
    "D414": Code(
        title="no row is left to train on",
        why="Every row of the training split is longer than `method.max_length` or holds markers of the chat template.",
        fix="Raise `method.max_length`, or say `data.checks.truncation: warn`, which cuts rows instead.",
    ),
}
