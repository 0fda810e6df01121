"""Templates that could never serve are named before training, with the edit that helps."""

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.exporters.ollama import go_template, render
from engine.inference.template_check import (
    is_plain,
    known_tokens,
    lost_text_problem,
    mark_problems,
    modelfile_problems,
    opening_problem,
    tokenizer_problems,
    turn_problem,
)
from engine.runtime.rendering.chat import Chat, load_chat
from support.faults_of_texts import decoding
from support.model_families import FAMILIES, Family, make_family
from support.pico import CHAT_TEMPLATE, make_pico_model

ASKED = [{"role": "user", "content": "good?"}]
R1 = Family(
    template="deepseek_r1_distill",
    special=("<s>", "</s>", "<think>", "</think>"),
    eos="</s>",
    bos="<s>",
)
HEADER = "<|im_start|>assistant\n"
NO_OPENING = CHAT_TEMPLATE.partition("{% if add_generation_prompt %}")[0]
OTHER_OPENING = CHAT_TEMPLATE.replace("<|im_start|>assistant", "<|im_start|>model")
SHIPPED = sorted(one.stem for one in (Path(str(files("trl"))) / "chat_templates").glob("*.jinja"))
MARKS = re.compile(r"<[|\uff5c]?[A-Za-z_/][^<>\s'\"{}]*>")
TRIMMING = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim")


@pytest.fixture
def chat(tmp_path: Path) -> Callable[[str], Chat]:
    return lambda template: load_chat(make_pico_model(tmp_path / "base", template=template))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_templates_of_known_families_fit_training_and_ollama(tmp_path: Path, name: str) -> None:
    chat = load_chat(make_family(tmp_path / name, name))
    turns = [[{"role": "user", "content": text}] for text in ("good?", "so so ½", "two\n\nlines")]

    assert opening_problem(chat) is None
    assert turn_problem(chat) is None
    assert [*modelfile_problems(chat, [("rows.csv:2", one) for one in turns])] == []
    template = go_template(chat)
    assert [render(template, one) for one in turns] == [chat.prompt(one) for one in turns]


def test_an_opening_that_starts_to_think_is_refused(chat: Callable[[str], Chat]) -> None:
    problem = opening_problem(chat(R1.text()))

    assert problem is not None
    assert (problem.code, "<think>" in problem.message) == ("X671", True)
    assert problem.hint is not None
    assert "chat_template.jinja" in problem.hint


def test_a_missing_opening_is_named_with_the_text_to_add(chat: Callable[[str], Chat]) -> None:
    problem = opening_problem(chat(NO_OPENING))

    assert problem is not None
    assert problem.code == "X671"
    assert problem.hint is not None
    added = problem.hint.partition("`")[2].partition("`")[0]
    assert opening_problem(chat(NO_OPENING + added)) is None
    assert chat(NO_OPENING + added).prompt(ASKED).endswith(HEADER)


def test_an_opening_of_another_word_than_past_answers_is_what_ollama_writes_too(
    chat: Callable[[str], Chat],
) -> None:
    other = chat(OTHER_OPENING)
    turns = [*ASKED, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "sure?"}]

    assert other.prompt(turns).endswith("<|im_start|>model\n")
    for asked in (ASKED, turns):
        assert render(go_template(other), asked) == other.prompt(asked)


def test_rows_that_a_modelfile_writes_otherwise_are_counted_with_the_first(
    chat: Callable[[str], Chat],
) -> None:
    rows = [("rows.csv:2", ASKED), ("rows.csv:3", [{"role": "user", "content": "good? "}])]

    (problem,) = modelfile_problems(chat(TRIMMING), rows)

    assert problem.code == "X672"
    assert "1 of 2 rows" in problem.message
    assert "rows.csv:3" in problem.message


def test_turns_with_tools_are_none_of_a_modelfile() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}

    assert is_plain(ASKED)
    assert not is_plain([*ASKED, call])
    assert not is_plain([{"role": "tool", "content": "1"}])


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", SHIPPED)
def test_templates_of_published_models_pass_texts_on_and_fit_their_own_tokens(
    tmp_path: Path, name: str
) -> None:
    family = Family(template=name, special=("<s>", "</s>"), eos="</s>", bos="<s>")
    own = [mark for mark in dict.fromkeys(MARKS.findall(family.text())) if len(mark) < 40]
    folder = make_pico_model(
        tmp_path / "base",
        template=family.text(),
        names={"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<s>"},
        special=[*dict.fromkeys(["<s>", "</s>", *own])],
    )
    try:
        chat = load_chat(folder)
    except StageError:
        pytest.skip("it takes lists of parts, not texts")
    asked = [
        ASKED,
        [{"role": "system", "content": "Be brief."}, *ASKED],
        [*ASKED, {"role": "assistant", "content": "yes"}, {"role": "user", "content": " sure? "}],
    ]

    assert lost_text_problem(chat, asked) is None
    assert [*mark_problems(chat, None)] == []
    assert turn_problem(chat) is None


@pytest.mark.parametrize(
    "shown",
    [
        "'hello'",
        "message['content'][:20]",
        "message['content'] | lower",
        "message['content'] | e",
        "message['content'].replace('\n', ' ')",
        "message['content'] + ' ' + message['content']",
    ],
)
def test_a_template_that_does_not_write_what_a_turn_says_is_refused(
    chat: Callable[[str], Chat], shown: str
) -> None:
    template = CHAT_TEMPLATE.replace(
        "message['content']", f"(message['content'] if loop.last and loop.index > 1 else {shown})"
    )

    problem = lost_text_problem(chat(template), [ASKED])

    assert problem is not None
    assert problem.code == "X839"


def test_an_opening_of_another_word_is_a_warning(chat: Callable[[str], Chat]) -> None:
    problem = opening_problem(chat(OTHER_OPENING))

    assert problem is not None
    assert (problem.code, problem.severity) == ("X671", "warning")
    assert opening_problem(chat(CHAT_TEMPLATE)) is None


def test_marks_that_are_text_are_distinguished_by_what_they_mark(
    chat: Callable[[str], Chat],
) -> None:
    endless = CHAT_TEMPLATE.replace("im_end", "eot_id")
    headed = CHAT_TEMPLATE.replace("im_start", "header")

    assert [one.severity for one in mark_problems(chat(endless), None)] == ["error"]
    assert [one.severity for one in mark_problems(chat(headed), None)] == ["warning"]


def test_a_mark_that_tokenizer_json_does_not_hold_is_refused(chat: Callable[[str], Chat]) -> None:
    (problem,) = mark_problems(chat(CHAT_TEMPLATE), {"<|im_start|>": 1})

    assert "`<|im_end|>`" in problem.message
    assert [*mark_problems(chat(CHAT_TEMPLATE), {"<|im_start|>": 1, "<|im_end|>": 2})] == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            "'<|im_end|>' + ",
            "('' if message['role'] == 'user' else '<|im_end|>') + ",
            "behind a question",
        ),
        (
            "'<|im_start|>' + message['role'] + '\n' + ",
            "('' if message['role'] == 'user' else '<|im_start|>' + message['role'] + '\n') + ",
            "before a question",
        ),
        ("{% for", "{{ '<|im_start|>' }}{% for", "twice"),
        (
            "'<|im_end|>'",
            "('<|im_start|>' if message['role'] == 'user' else '<|im_end|>')",
            "twice",
        ),
        (
            "{% for",
            "{{ '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n' }}{% for",
            "of its own",
        ),
    ],
)
def test_turns_that_are_marked_otherwise_than_answers_are_a_warning(
    chat: Callable[[str], Chat], before: str, after: str, words: str
) -> None:
    problem = turn_problem(chat(CHAT_TEMPLATE.replace(before, after)))

    assert problem is not None
    assert (problem.code, problem.severity) == ("X817", "warning")
    assert words in problem.message


# A tokenizer that cannot be relied on is named before training.
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_pico_model(tmp_path / "base")


def found(base: Path, change: Change, *, are_labels: bool = True) -> list[tuple[str, str]]:
    """What is found of a tokenizer that was changed."""
    file = base / "tokenizer.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    change(whole)
    file.write_text(json.dumps(whole), encoding="utf-8")
    problems = tokenizer_problems(load_chat(base), ["negative", "not"], are_labels=are_labels)
    return [(one.code, one.severity) for one in problems]


def test_a_sound_one_passes(base: Path) -> None:
    assert found(base, lambda _: None) == []


@pytest.mark.parametrize(
    "change",
    [decoding, lambda whole: whole["model"].update(dropout=0.5)],
    ids=["decoder", "dropout"],
)
def test_answers_that_do_not_come_back_are_refused(base: Path, change: Change) -> None:
    assert found(base, change) == [("X841", "error")]


def test_half_of_free_answers_may_be_changed(base: Path) -> None:
    # one of the two holds the letter
    assert found(base, decoding, are_labels=False) == [("X841", "warning")]


def test_lower_case_is_a_warning(base: Path) -> None:
    assert found(base, lambda whole: whole.update(normalizer={"type": "Lowercase"})) == [
        ("X841", "warning")
    ]


def test_tokens_are_those_of_the_vocabulary_and_added_ones(base: Path) -> None:
    known = known_tokens(base)

    assert known is not None
    assert (known["<|im_end|>"], len(known)) == (2, 320)
    (base / "tokenizer.json").unlink()
    assert known_tokens(base) is None
