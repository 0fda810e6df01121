"""YAML syntax errors in words a person who does not know YAML's grammar can act on."""

from __future__ import annotations

from typing import Final

import yaml

from engine.errors import Place, Problem

_TABLE: Final = (
    ("tab", "a tab is used for indentation", "indent with spaces"),
    ("'\\t'", "a tab is used for indentation", "indent with spaces"),
    (
        "mapping values are not allowed",
        "a `:` where no key can stand",
        "put text that holds `: ` in quotes, or correct the indentation of this line",
    ),
    ("unknown escape", "unknown escape in double quotes", "use single quotes, or write `\\\\`"),
    ("expected ',' or ']'", "a list opened with `[` is not closed", None),
    ("expected ',' or '}'", "a mapping opened with `{` is not closed", None),
    ("unexpected end of stream", "a quote is opened and never closed", None),
    ("cannot start any token", "an unquoted value cannot start like this", "put it in quotes"),
    ("expected key", "this line does not fit the lines above", "correct its indentation"),
    ("expected <block end>", "this line does not fit the lines above", "correct its indentation"),
    ("'-' indicator", "this line does not fit the list above", "start it with `- `"),
)
_AT_THE_OPENING: Final = ("expected ',' or", "unexpected end of stream")


def explain_syntax(error: yaml.YAMLError, *, file: str, lines: tuple[str, ...]) -> Problem:
    """Return the problem that a parser's error tells of."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(code="R102", message=_plain(str(error)), place=Place(file=file))
    told = error.problem or ""
    mark = error.problem_mark
    if error.context_mark is not None and any(part in told for part in _AT_THE_OPENING):
        mark = error.context_mark
    if mark is not None and mark.line < len(lines) and lines[mark.line][mark.column :][:1] == "\t":
        told = "tab"
    message, hint = next(
        ((text, advice) for part, text, advice in _TABLE if part in told), (_plain(told), None)
    )
    return Problem(code="R102", message=message, hint=hint, place=_place(mark, file, lines))


def _place(mark: yaml.Mark | None, file: str, lines: tuple[str, ...]) -> Place:
    if mark is None or mark.line >= len(lines):
        return Place(file=file)
    number = mark.line + 1
    return Place(
        file=file, line=number, column=mark.column + 1, snippet=((number, lines[mark.line]),)
    )


def _plain(text: str) -> str:
    first = text.splitlines()[0] if text else ""
    return f"not YAML: {first}" if first else "not YAML"
