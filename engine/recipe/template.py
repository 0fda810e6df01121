"""The template of `task.input`: which columns it names. No logic, no formatting, no attributes."""

from __future__ import annotations

import re
from typing import Final

_PIECE: Final = re.compile(r"(?P<literal>\{\{|\}\}|[^{}]+)|\{(?P<field>[^{}]*)\}|(?P<stray>[{}])")

WORD: Final = re.compile(r"\w+(?:[.-]\w+)*")
_LAST_WORD: Final = re.compile(rf"{WORD.pattern}$")


class TemplateError(Exception):
    """The template cannot be read; the text says why, `hint` what to write."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def pieces(template: str) -> tuple[tuple[str, bool], ...]:
    """Return the template as (text, is it a column) in order; TemplateError when it is broken.

    Columns are dotted paths, `{a.1.b}`; `{{` and `}}` are literal braces.
    """
    found: list[tuple[str, bool]] = []
    for piece in _PIECE.finditer(template):
        if piece["stray"] is not None:
            raise TemplateError(
                f"`{piece['stray']}` at character {piece.start() + 1} has no partner",
                hint=_with_partner(template, piece.start()),
            )
        if piece["literal"] is not None:
            found.append(({"{{": "{", "}}": "}"}.get(piece["literal"], piece["literal"]), False))
            continue
        name = piece["field"]
        if name != name.strip() or not all(name.split(".")):
            raise TemplateError(
                f"`{{{name}}}` does not name a column",
                hint=f"write `{{{name.strip()}}}`" if all(name.strip().split(".")) else None,
            )
        found.append((name, True))
    return tuple(found)


def _with_partner(template: str, place: int) -> str:
    """Return the hint for a brace without its partner: the column that it was probably written for, or the literal."""
    brace = template[place]
    literal = f"write `{brace * 2}` for a literal brace"
    word = WORD.match(template, place + 1) if brace == "{" else _LAST_WORD.search(template[:place])
    return (
        f"write `{{{word[0]}}}` for the column, or {literal.removeprefix('write ')}"
        if word
        else literal
    )


def fields(template: str) -> tuple[str, ...]:
    """Return the columns the template names, each once, in order; TemplateError as `pieces`."""
    return tuple(dict.fromkeys(text for text, is_field in pieces(template) if is_field))
