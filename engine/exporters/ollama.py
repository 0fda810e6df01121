"""A Modelfile for `ollama create`, beside the GGUF file.

The Go template is cut out of the model's own chat template, rendered with stand-ins, so that both
write the same bytes. Source: https://github.com/ollama/ollama/blob/main/docs/modelfile.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import Problem, StageError
from engine.evidence import ExportedFile
from engine.exporters import ExportSpec, describe, gguf_name
from engine.files.reading import parse_json
from engine.progress import Progress

if TYPE_CHECKING:
    from jinja2 import Template

    from engine.runtime.rendering.chat import Chat

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
        parts += [_in_braces(literal), _in_jinja(match.group(1), ends)]
        place = match.end()
    parts.append(_in_braces(template[place:]))
    if ends or "{{" in ACTION.sub(" ", template):
        raise UnknownActionError("a block or an action that does not end")
    return Environment().from_string("".join(parts))  # noqa: S701 - texts for a model, no page


def _in_braces(text: str) -> str:
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}"


def _in_jinja(action: str, ends: list[str]) -> str:
    """Return an action in jinja's language; `ends` are those of the blocks that it stands in, its own included."""
    if action.startswith('"'):
        return _in_braces(str(parse_json(action)))
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
    _, _, rest = modelfile.partition('TEMPLATE """')
    return rest.partition('"""')[0]


NAME = "ollama"
REQUIRES: tuple[str, ...] = ("gguf",)
FILE = "Modelfile"
STAND_INS = ("qXoneXq", "qXtwoXq", "qXthreeXq", "qXfourXq")


def check(find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    return ()


def export(
    model_dir: Path, spec: ExportSpec, workdir: Path, progress: Progress
) -> tuple[ExportedFile, ...]:
    """Write `Modelfile`, which refers to the GGUF file of the same folder. StageError X651."""
    from engine.runtime.rendering.chat import kept_chat  # brings transformers

    text = modelfile(kept_chat(model_dir), spec)
    (workdir / FILE).write_text(text, encoding="utf-8")
    return (describe(workdir / FILE, root=workdir, form=NAME),)


def modelfile(chat: Chat, spec: ExportSpec) -> str:
    question = spec.task.instruction.replace("{labels}", ", ".join(spec.task.labels))
    lines = [
        "# ollama create NAME -f Modelfile",
        "# The model was trained on messages of this form: the instruction, a blank line, the text.",
        *(f"#   {line}".rstrip() for line in (*question.splitlines(), "", "TEXT")),
        # Relative to the Modelfile, so that the folder can be moved.
        f"FROM ./{gguf_name(spec.quantization)}",
        f"TEMPLATE {_quoted(go_template(chat))}",
        *([f"SYSTEM {_quoted(spec.task.system)}"] if spec.task.system else []),
        f"PARAMETER stop {_quoted(chat.terminator)}",
        # Ollama draws at random by default, and the model was judged by its most probable tokens.
        "PARAMETER temperature 0",
    ]
    return "\n".join(lines) + "\n"


def go_template(chat: Chat) -> str:
    """Return the chat template as a Go template over `.Messages`. StageError X651 when it has no such form."""

    def when(condition: str, role: str, before: str, after: str) -> str:
        """Return one branch: what stands around the content of a turn of that role."""
        return f'{{{{ {condition} eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'

    first, second, third, fourth = STAND_INS
    around = _between(chat, user=first, assistant=second, again=third)
    start, answer, next_user, opening = around
    # What follows a question stands before a past answer, or opens the one asked for.
    after = _text(opening)
    if answer != opening:
        after = f"{{{{ if {GOES_ON} }}}}{_text(answer)}{{{{ else }}}}{after}{{{{ end }}}}"
    first_turn = f"{{{{ if eq $i 0 }}}}{_text(start)}{{{{ end }}}}"
    next_turn = f"{{{{ if {GOES_ON} }}}}{_text(next_user)}{{{{ end }}}}"
    branches = [when("if", "user", first_turn, after), when("else if", "assistant", "", next_turn)]
    # A template may have no such turn.
    with suppress(StageError):
        before, behind, _ = _between(chat, system=fourth, user=first)
        branches.append(when("else if", "system", _text(before), _text(behind)))
    return "{{ range $i, $_ := .Messages }}" + "".join(branches) + "{{ end }}{{ end }}"


def _between(chat: Chat, **marks: str) -> list[str]:
    """Return the text around turns that say `marks`, by role: before the first, between each two, after the last."""
    roles = {"again": "user"}
    turns = [{"role": roles.get(role, role), "content": mark} for role, mark in marks.items()]
    rest, pieces = chat.prompt(turns), []
    for mark in marks.values():
        piece, found, rest = rest.partition(mark)
        if not found:
            what = "the chat template has no form that Ollama's templates can express"
            hint = "leave `ollama` out of `export.formats`; the GGUF file holds the template itself"
            raise StageError.one("X651", what, hint=hint)
        pieces.append(piece)
    return [*pieces, rest]


def _text(piece: str) -> str:
    """Return literal text for a Go template: braces would start an action."""
    text = piece.replace("{{", '{{ "{{" }}')
    # before an action the last one would begin it
    return f'{text[:-1]}{{{{ "{{" }}}}' if text.endswith("{") else text


def _quoted(text: str) -> str:
    """Return a Modelfile string: triple quotes take every character but themselves."""
    if '"""' in text:
        what = "a Modelfile cannot hold three double quotes in a row"
        hint = "take them out of `task.system`, or leave `ollama` out of `export.formats`"
        raise StageError.one("X651", what, hint=hint)
    return f'"""{text}"""'
