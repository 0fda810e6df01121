"""Templates of a stranger's model: rendered, or refused with X603, in seconds and in bounded memory."""

import resource

import pytest

from engine.errors import StageError
from engine.runtime.llama.client import FileTokenizer
from engine.runtime.rendering import chat as templating
from engine.runtime.rendering.chat import chat_of

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}" + TURNS
)
HOSTILE = {
    "never ends": ENDLESS,
    "calls itself": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}" + TURNS,
    "writes 4 GB": "{{ 'a' * 4000000000 }}" + TURNS,
    "writes 4 GB in lists": "{{ ([0] * 4000000000) | length }}" + TURNS,
    "writes more than an integer": "{{ 'a' * 10 ** 30 }}" + TURNS,
    "takes a large power": "{{ 9 ** (9 ** 9) }}" + TURNS,
    "writes a long text": "{{ 'a' * 80000000 }}" + TURNS,
    "divides by nothing": "{{ 1 // 0 }}" + TURNS,
    "asks a list for too much": "{{ messages[99].role.x.y }}" + TURNS,
    "is nested deeply": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}" + TURNS,
    "has an error of syntax": "{% for %}",
    "looks behind": "{{ ''.__class__.__mro__[1].__subclasses__() }}" + TURNS,
}


def of_template(template: str) -> FileTokenizer:
    return FileTokenizer(chat_template=template, bos_token="", eos_token="<end>")


@pytest.mark.parametrize("what", HOSTILE)
def test_a_template_that_does_so_is_refused(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templating, "SECONDS", 0.2)
    before = resource.getrlimit(resource.RLIMIT_AS)

    with pytest.raises(StageError, match="X603"):
        chat_of(of_template(HOSTILE[what]))

    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_usual_one_is_rendered() -> None:
    chat = chat_of(of_template(TURNS))

    assert chat.before_answer([{"role": "user", "content": "hi"}]) == "<user>hi</user><assistant>"
