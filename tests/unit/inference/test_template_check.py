"""Templates that could never serve are named before training, with the edit that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.exporters.go_template import render
from engine.exporters.ollama import go_template
from engine.inference.template_check import is_plain, modelfile_problems, opening_problem
from engine.runtime.rendering.chat import Chat, load_chat
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
TRIMMING = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim")


@pytest.fixture
def chat(tmp_path: Path) -> Callable[[str], Chat]:
    return lambda template: load_chat(make_pico_model(tmp_path / "base", template=template))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_templates_of_known_families_fit_training_and_ollama(tmp_path: Path, name: str) -> None:
    chat = load_chat(make_family(tmp_path / name, name))
    turns = [[{"role": "user", "content": text}] for text in ("good?", "so so ½", "two\n\nlines")]

    assert opening_problem(chat) is None
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

    assert opening_problem(other) is None
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
