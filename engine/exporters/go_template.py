"""What Ollama would write: the part of Go's template language that `engine.exporters.ollama` uses.

`{{ range $i, $_ := .Messages }}`, `if`, `else if` and `else` on a turn's role, on the first turn and on whether
another one follows, `{{ .Content }}` and literal texts. Anything else is refused, so that the text that
`verify` compares is the text that the exported Modelfile gives.
Source: https://pkg.go.dev/text/template
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# A quoted text may hold braces: that is how literal ones are written.
ACTION = re.compile(r'\{\{ ((?:"(?:[^"\\]|\\.)*"|[^"{}])*) \}\}')
RANGE = "range $i, $_ := .Messages"
ROLE = re.compile(r'eq \.Role "(\w+)"')
FIRST = "eq $i 0"
ELSE = "else"
# Go's templates cannot add or subtract, so the turns from this one on are counted.
GOES_ON = "lt 1 (len (slice $.Messages $i))"


class UnknownActionError(ValueError):
    """The template has something that this reader does not know."""


@dataclass(slots=True)
class _Block:
    """Texts, actions and inner blocks, in order."""

    parts: list[str | _Action | _Choice | _Loop] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Action:
    text: str


@dataclass(slots=True)
class _Choice:
    branches: list[tuple[str, _Block]]


@dataclass(slots=True)
class _Loop:
    body: _Block


def render(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """Return the text of messages. UnknownActionError for what an exported template never holds."""
    pieces = _pieces(template)
    block = _block(pieces, inside=False)
    return "".join(_written(block, messages, None))


def _pieces(template: str) -> list[str | _Action]:
    found: list[str | _Action] = []
    place = 0
    for match in ACTION.finditer(template):
        found += [template[place : match.start()], _Action(match.group(1))]
        place = match.end()
    found.append(template[place:])
    if any(isinstance(piece, str) and "{{" in piece for piece in found):
        raise UnknownActionError("an action that does not end")
    # Last piece first: blocks take theirs off the end of the list.
    return [piece for piece in found if piece != ""][::-1]


def _block(pieces: list[str | _Action], *, inside: bool) -> _Block:
    """Take pieces from the end of the list up to the `end` or `else if` of this block, and leave that."""
    block = _Block()
    while pieces:
        piece = pieces.pop()
        if isinstance(piece, str):
            block.parts.append(piece)
        elif piece.text == RANGE:
            block.parts.append(_Loop(_block(pieces, inside=True)))
            pieces.pop()
        elif piece.text.startswith("if "):
            block.parts.append(_choice(pieces, piece.text.removeprefix("if ")))
        elif piece.text in ("end", ELSE) or piece.text.startswith("else if "):
            pieces.append(piece)
            break
        else:
            block.parts.append(piece)
    if inside and not pieces:
        raise UnknownActionError("a block that does not end")
    return block


def _choice(pieces: list[str | _Action], condition: str) -> _Choice:
    branches = [(condition, _block(pieces, inside=True))]
    while (piece := pieces.pop()) != _Action("end"):
        text = piece.text if isinstance(piece, _Action) else ""
        branches.append((text.removeprefix("else if "), _block(pieces, inside=True)))
    return _Choice(branches)


def _written(block: _Block, messages: Sequence[Mapping[str, str]], turn: int | None) -> list[str]:
    parts: list[str] = []
    for part in block.parts:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, _Loop):
            for number in range(len(messages)):
                parts += _written(part.body, messages, number)
        elif isinstance(part, _Choice):
            inner = next(
                (inner for how, inner in part.branches if _holds(how, messages, turn)), None
            )
            parts += _written(inner, messages, turn) if inner is not None else []
        else:
            parts.append(_evaluated(part.text, messages, turn))
    return parts


def _evaluated(action: str, messages: Sequence[Mapping[str, str]], turn: int | None) -> str:
    if action == ".Content" and turn is not None:
        return messages[turn]["content"]
    if action.startswith('"'):
        return str(json.loads(action))
    raise UnknownActionError(action)


def _holds(condition: str, messages: Sequence[Mapping[str, str]], turn: int | None) -> bool:
    if turn is None:
        raise UnknownActionError(condition)
    if condition == ELSE:
        return True
    if condition == FIRST:
        return turn == 0
    if condition == GOES_ON:
        return len(messages) - turn > 1
    if (role := ROLE.fullmatch(condition)) is not None:
        return messages[turn]["role"] == role.group(1)
    raise UnknownActionError(condition)


def template_of(modelfile: str) -> str:
    """Return the template that stands in a Modelfile of ours."""
    _, _, rest = modelfile.partition('TEMPLATE """')
    return rest.partition('"""')[0]
