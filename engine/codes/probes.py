"""Codes of the files of probes, which show what training unlearned: D385 on."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "D385": Code(
        title="a probe without the columns of its kind",
        why="Without the question, the choices or the answer there is nothing to ask or to judge.",
        fix="say which columns they are: `columns: {question: query, choices: options, answer: gold}`; "
        "a dotted path reaches into objects: `choices: choices.text`",
    ),
    "D386": Code(
        title="a row of a probe that cannot be asked",
        why="It needs at least two different choices and an answer that is one of them: its place, "
        "counted from 0, its letter, or its text; a minimal pair needs two different sentences. A "
        "row that no model can get right would look like forgetting nothing.",
        fix="correct the row, or leave it out of the file",
    ),
}
