"""Rows of every kind: what is learned is the answer and its end, in the form the model will see."""

import json
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.errors import DataError, StageError
from engine.recipe.model import Task
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.chat import Chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.renderer import RenderedRow
from engine.runtime.rendering.segments import Segment
from engine.values import replace
from support.launches import TASK
from support.pico import CHAT_TEMPLATE
from support.rendered import render_rows

FORGETFUL = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and not loop.last and '</think>' in m.content %}"
    "{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Leaves the thinking of earlier answers out, as Qwen3's does."""
CALLING = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}


def task(kind: Any, **changes: Any) -> Task:
    given = {"kind": kind, "instruction": "", "labels": (), **changes}
    return replace(TASK, **given)


def example(text: str = "", target: str = "", *, repeat: int = 1, **payload: Any) -> Example:
    return Example(
        id="0" * 16, origin="a.jsonl:1", input=text, target=target, payload=payload, repeat=repeat
    )


def turns(*contents: str) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(contents)]


def written_by(chat: Chat, template: str) -> Chat:
    """The same tokenizer with another chat template."""
    tokenizer = type(chat.tokenizer)(
        tokenizer_object=chat.tokenizer.backend_tokenizer, **chat.tokenizer.special_tokens_map
    )
    tokenizer.chat_template = template
    return Chat(tokenizer=tokenizer, terminator=chat.terminator)


def render(chat: Chat, of: Task, *rows: Example, limit: int = 400, action: str = "fail") -> Any:
    limits = LengthLimits(max_length=limit, truncation=action)
    return render_rows(rows, task=of, chat=chat, limits=limits)


def learned(row: RenderedRow) -> list[str]:
    return [segment.text for segment in row.segments if segment.supervised]


def whole(row: RenderedRow) -> str:
    return "".join(segment.text for segment in row.segments)


@pytest.fixture
def chat(pico: LoadedModel) -> Chat:
    return pico.chat


@pytest.mark.parametrize(
    ("kind", "changes", "target", "answer"),
    [
        ("multilabel", {"labels": ("a", "b")}, "a, b", "a, b"),
        ("multilabel", {"labels": ("a", "b"), "output": "json"}, "none", '{"labels": []}'),
        ("extraction", {"output": "json"}, '{"city":"Rome"}', '{"city":"Rome"}'),
        ("generation", {}, "  Buon giorno \n", "  Buon giorno \n"),
    ],
)
def test_an_answer_is_learned_byte_for_byte_with_its_end(
    chat: Chat, kind: str, changes: dict[str, Any], target: str, answer: str
) -> None:
    [row] = render(chat, task(kind, **changes), example("good", target)).rows

    assert learned(row) == [f"{answer}<|im_end|>"]
    assert row.prompt.endswith("good<|im_end|>\n<|im_start|>assistant\n")


def test_every_answer_of_a_chat_is_learned_and_nothing_else(chat: Chat) -> None:
    messages = turns("hi", "hello", "how?", "so so")

    [row] = render(chat, task("chat"), example(messages=messages)).rows

    assert learned(row) == ["hello<|im_end|>", "so so<|im_end|>"]
    assert whole(row) + "\n" == chat.whole(messages)
    assert [segment.supervised for segment in row.segments] == [False, True, False, True]


def test_an_answer_that_is_not_trained_stands_in_the_prompt(chat: Chat) -> None:
    messages = turns("hi", "wrong", "again", "right", "more")
    messages[1]["trained"] = False

    [row] = render(chat, task("chat"), example(messages=messages)).rows

    assert learned(row) == ["right<|im_end|>"]
    assert "wrong<|im_end|>" in row.prompt
    assert "more" not in whole(row)


def test_a_template_that_rewrites_history_leaves_the_last_answer(chat: Chat) -> None:
    messages = turns("hi", "<think>hm</think>hello", "how?", "so so")

    [row] = render(written_by(chat, FORGETFUL), task("chat"), example(messages=messages)).rows

    assert row.rewritten
    assert learned(row) == ["so so<|im_end|>"]
    assert "hm" not in row.prompt


def test_thinking_of_the_only_answer_is_learned(chat: Chat) -> None:
    messages = turns("hi", "<think>hm</think>hello")

    [row] = render(written_by(chat, FORGETFUL), task("chat"), example(messages=messages)).rows

    assert learned(row) == ["<think>hm</think>hello<|im_end|>"]


def test_calls_and_tools_are_written_as_the_template_has_them(chat: Chat) -> None:
    messages = [*turns("Rome?"), {"role": "assistant", "content": None, "tool_calls": [CALL]}]
    row = example(messages=messages, tools=TOOLS)

    [made] = render(written_by(chat, CALLING), task("chat"), row).rows

    assert '"name": "weather"' in made.prompt
    assert learned(made) == [f"<call>{json.dumps(CALL['function'])}</call><|im_end|>"]


def test_calls_that_the_template_leaves_out_are_refused(chat: Chat) -> None:
    silent = CHAT_TEMPLATE.replace("message['content']", "(message['content'] or '')")
    messages = [*turns("Rome?"), {"role": "assistant", "content": None, "tool_calls": [CALL]}]

    with pytest.raises(DataError) as refused:
        render(written_by(chat, silent), task("chat"), example(messages=messages))

    [problem] = refused.value.problems
    assert problem.code == "D394"
    assert "a.jsonl:1 (without the call of `weather`)" in problem.message


@pytest.mark.parametrize(
    ("kept", "lost"),
    [("calls", "the definition of"), ("tools", "the call of"), ("", "the call of")],
)
def test_a_function_that_is_named_elsewhere_can_be_left_out_all_the_same(
    chat: Chat, kept: str, lost: str
) -> None:
    template = CALLING if kept == "calls" else CALLING.replace("m.tool_calls or []", "[]")
    if kept != "tools":
        template = template.replace("{% if tools %}", "{% if false %}")
    messages = [
        *turns("Ask weather: Rome?"),
        {"role": "assistant", "content": "I ask weather.", "tool_calls": [CALL]},
    ]

    with pytest.raises(DataError) as refused:
        render(written_by(chat, template), task("chat"), example(messages=messages, tools=TOOLS))

    [problem] = refused.value.problems
    assert problem.code == "D394"
    assert f"{lost} `weather`" in problem.message


def test_a_chat_that_the_template_refuses_is_named(chat: Chat) -> None:
    messages = [*turns("Rome?"), {"role": "assistant", "content": None, "tool_calls": [CALL]}]

    with pytest.raises(DataError) as refused:
        render(chat, task("chat"), example(messages=messages))

    [problem] = refused.value.problems
    assert problem.code == "D394"
    assert "a.jsonl:1 (the chat template of the base model refuses" in problem.message


def test_a_task_that_the_template_refuses_is_not_the_fault_of_a_row(chat: Chat) -> None:
    refusing = written_by(chat, "{{ raise_exception('no') }}")

    with pytest.raises(StageError) as refused:
        render(refusing, TASK, example("good", "positive"))

    assert [problem.code for problem in refused.value.problems] == ["X603"]


def test_a_long_chat_is_cut_between_turns(chat: Chat) -> None:
    messages = turns("hi", "hello", "x " * 200, "so so")

    rendering = render(chat, task("chat"), example(messages=messages), limit=100, action="warn")

    assert learned(rendering.rows[0]) == ["hello<|im_end|>"]
    assert rendering.truncated == ("a.jsonl:1",)


def test_a_pair_has_both_answers_to_the_same_prompt(chat: Chat) -> None:
    pair = example(
        messages=turns("hi"),
        chosen=[{"role": "assistant", "content": "hello"}],
        rejected=[{"role": "assistant", "content": "go away, please"}],
    )

    [row] = render(chat, task("preference"), pair).rows

    assert (row.segments[0], row.answer) == (row.rejected[0], "hello<|im_end|>")
    assert row.tokens == sum(len(chat.token_ids(part.text)) for part in row.rejected)
    assert row.rejected[1] == Segment(text="go away, please<|im_end|>", supervised=True)


@pytest.mark.parametrize(
    "text", ["the film was good. " * 40, "½ 日本語のテキスト 👩‍👩‍👧 " * 20, "word\n\n" * 90]
)
def test_a_document_is_learned_whole_in_blocks_that_join_to_it(chat: Chat, text: str) -> None:
    rows = render(chat, task("text"), example(text), limit=32).rows

    assert len(rows) > 2
    assert "".join("".join(learned(row)) for row in rows) == text + "<|im_end|>"
    assert all(row.tokens <= 32 for row in rows)
    assert min(row.tokens for row in rows[:-1]) > 16
    assert [row.id for row in rows[:3]] == ["0" * 16, f"{'0' * 16}.2", f"{'0' * 16}.3"]


def test_a_weighted_row_is_written_as_often_as_it_is_seen(chat: Chat) -> None:
    rendering = render(chat, TASK, example("good", "positive", repeat=3))

    assert [row.id for row in rendering.rows] == ["0" * 16, f"{'0' * 16}-2", f"{'0' * 16}-3"]
    assert len({row.segments for row in rendering.rows}) == 1


@pytest.mark.parametrize(("action", "left"), [("drop", 1), ("warn", 2), ("off", 2)])
def test_rows_with_markers_are_treated_as_the_recipe_says(
    chat: Chat, action: str, left: int
) -> None:
    rows = [example("good", "positive"), example("bad<|im_end|>", "negative")]

    limits = LengthLimits(max_length=200, truncation="fail", template_tokens=action)
    rendering = render_rows(rows, task=TASK, chat=chat, limits=limits)

    assert len(rendering.rows) == left


def test_a_marker_deep_in_a_chat_is_found(chat: Chat) -> None:
    messages = turns("hi", "hello<|im_start|>user\nmore")

    with pytest.raises(DataError) as refused:
        render(chat, task("chat"), example(messages=messages))

    assert [problem.code for problem in refused.value.problems] == ["D392"]


def test_all_problems_are_reported_at_once(chat: Chat) -> None:
    rows = [example("x " * 300, "positive"), example("bad<|im_end|>", "negative")]

    with pytest.raises(DataError) as refused:
        render(chat, TASK, *rows, limit=200)

    assert {problem.code for problem in refused.value.problems} == {"D390", "D392"}


@pytest.mark.parametrize("kind", ["generation", "classification", "chat", "text"])
def test_what_nothing_ends_is_refused(chat: Chat, kind: str) -> None:
    """A template that ends no turn, and a tokenizer without an end of text."""
    endless = written_by(chat, CHAT_TEMPLATE.replace("<|im_end|>", ""))
    endless.tokenizer.eos_token = None
    given: dict[str, Any] = {"messages": turns("a", "b")} if kind == "chat" else {}
    row = example("a", "b", **given)

    with pytest.raises(DataError, match="D391"):
        render(replace(endless, terminator=""), task(kind), row)
