"""One prompt for training and use, whatever the template writes around the answer."""

import json
import resource
import shutil
from pathlib import Path

import pytest

from engine.errors import StageError
from engine.recipe.prompt import messages
from engine.runtime.llama.client import FileTokenizer
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering import chat as templating
from engine.runtime.rendering.chat import chat_of, left_open, load_chat, with_fixed_date
from engine.runtime.rendering.task_file import make_task_file, read_task_file, write_task_file
from engine.values import replace
from support import export_bench
from support.model_families import FAMILIES

USER = [{"role": "user", "content": "hello"}]
TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REFUSING = "{{ raise_exception('no system turn') }}"
TRIMMING = TURNS.replace("{{ m.content }}", "{{ m.content | trim }}")
TASK = replace(export_bench.TASK, output="json")


def _with_template(pico: Path, folder: Path, template: str) -> Path:
    shutil.copytree(pico, folder, dirs_exist_ok=True)
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.mark.parametrize("text", ["hello", "qXanswerXq"])
def test_the_prompt_is_what_users_send(pico: LoadedModel, text: str) -> None:
    prompt = pico.chat.prompt([{"role": "user", "content": text}])

    assert prompt == f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


def test_the_terminator_is_what_the_template_puts_behind_an_answer(pico: LoadedModel) -> None:
    assert pico.chat.terminator == "<|im_end|>"


def test_what_a_template_writes_before_past_answers_is_no_part_of_the_prompt(
    pico_folder: Path, tmp_path: Path
) -> None:
    chat = load_chat(_with_template(pico_folder, tmp_path, THINKING))

    assert chat.prompt(USER).endswith("assistant\n")
    assert chat.before_answer(USER).endswith("assistant\n<think>\n\n</think>\n\n")


@pytest.mark.parametrize(
    ("template", "terminator"),
    [
        (TURNS, "<|im_end|>"),
        (TURNS.replace("<|im_end|>\n", "<|im_end|>\n<|endoftext|>"), "<|im_end|>"),
        (TURNS.replace("<|im_end|>", ""), "<|im_end|>"),
        (TURNS.replace("<|im_end|>", "\n### end"), "\n### end"),
    ],
    ids=["a token", "the first of two", "none but the end of text", "words"],
)
def test_a_turn_ends_with_what_follows_the_answer(
    pico_folder: Path, tmp_path: Path, template: str, terminator: str
) -> None:
    assert load_chat(_with_template(pico_folder, tmp_path, template)).terminator == terminator


@pytest.mark.parametrize(
    ("template", "code"), [(REFUSING, "X603"), ("{{ messages[0].content }}", "X603"), ("", "X602")]
)
def test_a_template_that_cannot_serve_is_refused(
    pico_folder: Path, tmp_path: Path, template: str, code: str
) -> None:
    folder = _with_template(pico_folder, tmp_path, template)

    with pytest.raises(StageError) as caught:
        load_chat(folder)

    assert code == caught.value.problems[0].code


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))

    with pytest.raises(StageError) as caught:
        load_chat(tmp_path)

    assert caught.value.problems[0].code == "X601"


@pytest.mark.parametrize("template", [TURNS, THINKING, TRIMMING])
@pytest.mark.parametrize("text", ["fine", " two  spaces \n", "", "<|im_end|>", "{{ x }}", "日本"])
@pytest.mark.parametrize("instruction", ["Is it {labels}?", ""])
def test_the_task_file_asks_as_training_did(
    pico_folder: Path, tmp_path: Path, template: str, text: str, instruction: str
) -> None:
    task = replace(TASK, instruction=instruction)
    chat = load_chat(_with_template(pico_folder, tmp_path, template))
    write_task_file(tmp_path, make_task_file(task, chat))

    assert chat.prompt(messages(task, text)) == read_task_file(tmp_path).prompt(text)


@pytest.mark.parametrize("asks", [False, True])
def test_the_task_file_says_whether_rows_with_a_blank_column_are_asked(
    pico_folder: Path, tmp_path: Path, asks: bool
) -> None:
    made = make_task_file(TASK, load_chat(pico_folder), asks_partly_blank=asks)
    write_task_file(tmp_path, made)

    # a file that says nothing of it is byte for byte what it was before there was such a word
    assert ("asks_partly_blank" in (tmp_path / "task.json").read_text("utf-8")) is asks
    assert read_task_file(tmp_path).asks_partly_blank is asks


# A template writes the same text on every day, and what it leaves open is known.
@pytest.mark.parametrize(
    ("template", "fixed"),
    [
        ("{{ strftime_now('%Y-%m-%d') }}", '{{ "2024-07-26" }}'),
        ('{%- set d = strftime_now( "%d %b %Y" ) %}', '{%- set d = "26 Jul 2024" %}'),
        ("{% if strftime_now is defined %}a{% endif %}", "{% if true %}a{% endif %}"),
        ("{% if strftime_now is not defined %}a{% endif %}", "{% if false %}a{% endif %}"),
        ("{{ messages[0].content }}", "{{ messages[0].content }}"),
    ],
)
def test_the_date_is_the_same_on_every_day(template: str, fixed: str) -> None:
    assert with_fixed_date(template) == fixed


@pytest.mark.parametrize(
    "template",
    [
        "{% set form = '%H' %}{{ strftime_now(form) }}",
        "{% set now = strftime_now %}{{ now('%H') }}",
        "{{ ['a', 'b'] | random }}",
        "{{ lipsum() }}",
    ],
)
def test_a_template_that_changes_otherwise_is_refused(template: str) -> None:
    with pytest.raises(StageError, match="X670"):
        with_fixed_date(template)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_templates_of_known_families_are_kept_but_for_the_date(name: str) -> None:
    template = FAMILIES[name].text()

    assert (with_fixed_date(template) == template) == ("strftime_now" not in template)


@pytest.mark.parametrize(
    ("opening", "found"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|im_start|>assistant\n", ""),
        ("<start_of_turn>model\n", ""),
        ("[/INST][THINK]", "<THINK>"),
    ],
)
def test_a_block_that_stays_open_is_found(opening: str, found: str) -> None:
    assert left_open(opening, "{{ '<think>' }} </think> [THINK][/THINK]") == found


# Templates of a stranger's model: rendered, or refused with X603, in seconds and in bounded memory.
TURNS_TEMPLATING = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}" + TURNS_TEMPLATING
)
HOSTILE = {
    "never ends": ENDLESS,
    "calls itself": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}" + TURNS_TEMPLATING,
    "writes 4 GB": "{{ 'a' * 4000000000 }}" + TURNS_TEMPLATING,
    "writes 4 GB in lists": "{{ ([0] * 4000000000) | length }}" + TURNS_TEMPLATING,
    "writes more than an integer": "{{ 'a' * 10 ** 30 }}" + TURNS_TEMPLATING,
    "takes a large power": "{{ 9 ** (9 ** 9) }}" + TURNS_TEMPLATING,
    "writes a long text": "{{ 'a' * 80000000 }}" + TURNS_TEMPLATING,
    "divides by nothing": "{{ 1 // 0 }}" + TURNS_TEMPLATING,
    "asks a list for too much": "{{ messages[99].role.x.y }}" + TURNS_TEMPLATING,
    "is nested deeply": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}" + TURNS_TEMPLATING,
    "has an error of syntax": "{% for %}",
    "looks behind": "{{ ''.__class__.__mro__[1].__subclasses__() }}" + TURNS_TEMPLATING,
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
    chat = chat_of(of_template(TURNS_TEMPLATING))

    assert chat.before_answer([{"role": "user", "content": "hi"}]) == "<user>hi</user><assistant>"
