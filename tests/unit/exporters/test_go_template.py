"""What Ollama would write, read from the template that we export: the same text as the model's own template."""

from types import SimpleNamespace
from typing import Any

import pytest

from engine.exporters.ollama import UnknownActionError, go_template, render, template_of

USER = {"role": "user", "content": "hi {{ braces }}"}
AGAIN = {"role": "user", "content": "again"}
ASSISTANT = {"role": "assistant", "content": "yes"}
SYSTEM = {"role": "system", "content": "be brief"}


def _chatml(messages: Any, default: str = "") -> str:
    turns = list(messages)
    if default and turns[0]["role"] != "system":
        turns.insert(0, {"role": "system", "content": default})
    written = "".join(f"<|{turn['role']}|>\n{turn['content']}</s>\n" for turn in turns)
    return f"{written}<|assistant|>\n"


@pytest.mark.parametrize("default", ["", "You are {{ nobody }}"])
@pytest.mark.parametrize(
    "messages",
    [[USER], [SYSTEM, USER], [USER, ASSISTANT, AGAIN], [SYSTEM, USER, ASSISTANT, AGAIN]],
    ids=["one turn", "system", "three turns", "all"],
)
def test_the_exported_template_writes_what_the_model_s_own_does(
    messages: list[dict[str, str]], default: str
) -> None:
    chat: Any = SimpleNamespace(prompt=lambda turns: _chatml(turns, default))

    assert _chatml(messages, default) == render(go_template(chat), messages)


def test_a_brace_before_a_text_begins_no_action() -> None:
    """Go reads three braces as an action that begins at the first."""

    def prompt(turns: Any) -> str:
        return "".join(f"{{{turn['role']}: {{{turn['content']}}}}}\n" for turn in turns) + "{a: {"

    template = go_template(SimpleNamespace(prompt=prompt))  # type: ignore[arg-type]

    assert "{{{" not in template
    assert render(template, [USER, ASSISTANT, AGAIN]) == prompt([USER, ASSISTANT, AGAIN])


def test_the_template_is_found_in_a_modelfile() -> None:
    text = 'FROM ./model.gguf\nTEMPLATE """{{ .Content }}\nx"""\nPARAMETER stop """</s>"""\n'

    assert template_of(text) == "{{ .Content }}\nx"


@pytest.mark.parametrize(
    "template",
    [
        "{{ .Prompt }}",
        "{{ range $i, $_ := .Messages }}{{ .Role }}{{ end }}",
        "{{ range $i, $_ := .Messages }}{{ .Content }}",
        '{{ if eq .Role "user" }}x{{ end }}',
        "{{ .Content",
        "{{ range $i, $_ := .Messages }}{{{ .Content }}{{ end }}",
    ],
)
def test_what_is_never_exported_is_refused(template: str) -> None:
    with pytest.raises(UnknownActionError):
        render(template, [USER])
