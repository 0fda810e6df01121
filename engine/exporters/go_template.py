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
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

# A quoted text may hold braces: that is how literal ones are written.
ACTION = re.compile(r'\{\{ ((?:"(?:[^"\\]|\\.)*"|[^"{}])*) \}\}')
RANGE = "range $i, $_ := .Messages"
ROLE = re.compile(r'(else )?if eq \.Role "(\w+)"')
# Go's templates cannot add or subtract, so the turns from this one on are counted.
GOES_ON = "lt 1 (len (slice $.Messages $i))"
"""Another turn follows this one."""
OF_A_TURN: Mapping[str, str] = {
    "if eq $i 0": "{% if loop.first %}",
    f"if {GOES_ON}": "{% if not loop.last %}",
    "else": "{% else %}",
    ".Content": "{{ turn.content }}",
}
"""What is written in a turn, and the same in jinja's language."""


class UnknownActionError(ValueError):
    """The template has something that this reader does not know."""


def render(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """Return the text of messages. UnknownActionError for what an exported template never holds."""
    return _compiled(template).render(messages=messages)


@cache
def _compiled(template: str) -> Template:
    from jinja2 import Environment  # only where one is rendered

    parts: list[str] = []
    ends: list[str] = []
    place = 0
    for match in ACTION.finditer(template):
        literal = template[place : match.start()]
        if literal.endswith("{"):
            raise UnknownActionError("Go begins an action one brace earlier")
        parts += [_quoted(literal), _in_jinja(match.group(1), ends)]
        place = match.end()
    parts.append(_quoted(template[place:]))
    if ends or "{{" in ACTION.sub(" ", template):
        raise UnknownActionError("a block or an action that does not end")
    return Environment().from_string("".join(parts))  # noqa: S701 - texts for a model, no page


def _quoted(text: str) -> str:
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}"


def _in_jinja(action: str, ends: list[str]) -> str:
    """Return an action in jinja's language; `ends` are those of the blocks that it stands in, its own included."""
    if action.startswith('"'):
        return _quoted(str(json.loads(action)))
    if action == RANGE:
        ends.append("{% endfor %}")
        return "{% for turn in messages %}"
    if not ends:
        raise UnknownActionError(action)
    if action == "end":
        return ends.pop()
    role = ROLE.fullmatch(action)
    if role is None and action not in OF_A_TURN:
        raise UnknownActionError(action)
    if action.startswith("if "):
        ends.append("{% endif %}")
    if role is None:
        return OF_A_TURN[action]
    return f'{{% {"elif" if role[1] else "if"} turn.role == "{role[2]}" %}}'


def template_of(modelfile: str) -> str:
    """Return the template that stands in a Modelfile of ours."""
    _, _, rest = modelfile.partition('TEMPLATE """')
    return rest.partition('"""')[0]
