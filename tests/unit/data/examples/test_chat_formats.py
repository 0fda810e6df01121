"""The usual shapes of rows, recognised and read, in every form they come in."""

import gzip
import json
from typing import Any

import pytest

from engine.data.examples.chat_formats import recognise, shape_of
from engine.data.examples.template import Filled, MissingColumnError, RejectedError
from engine.errors import DataError
from engine.recipe.prompt import conversation
from support.paths import SHARED_DATA
from support.tasks import data, fill, messages, task

SAMPLES = SHARED_DATA / "chat_format_samples"
Row = dict[str, Any]


def human(text: str) -> Row:
    return {"from": "human", "value": text}


def gpt(text: str) -> Row:
    return {"from": "gpt", "value": text}


def user(text: str) -> Row:
    return {"role": "user", "content": text}


def assistant(text: str) -> Row:
    return {"role": "assistant", "content": text}


OPENAI: Row = {"messages": [user("q"), assistant("a")]}
SHAREGPT: Row = {"conversations": [human("q"), gpt("a")]}
ALPACA: Row = {"instruction": "q", "input": "", "output": "a"}
PROMPT: Row = {"prompt": "q", "completion": "a"}
DPO: Row = {"prompt": "q", "chosen": "y", "rejected": "n"}
KTO: Row = {"prompt": "q", "completion": "a", "label": True}


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        (OPENAI, "openai_messages"),
        ({"conversations": OPENAI["messages"]}, "openai_messages"),
        (SHAREGPT, "sharegpt"),
        (ALPACA, "alpaca"),
        (PROMPT, "prompt_completion"),
        ({"prompt": [user("q")], "response": "a"}, "prompt_completion"),
        (DPO, "dpo"),
        ({**SHAREGPT, "chosen": gpt("y"), "rejected": gpt("n")}, "dpo"),
        ({"chosen": [user("q"), assistant("y")], "rejected": [user("q"), assistant("n")]}, "dpo"),
        ({"chosen_messages": [], "rejected_messages": []}, "dpo"),
        (KTO, "kto"),
        ({**OPENAI, "label": False}, "kto"),
        ({**ALPACA, "kto_tag": True}, "kto"),
        ({"text": "x", "label": "a"}, None),
        ({"text": "x", "label": True}, None),
        ({"messages": "a text"}, None),
        ({"messages": [{"speaker": "x"}]}, None),
        ({"prompt": "q"}, None),
        ({"chosen": "y", "rejected": "n"}, None),
        ({}, None),
    ],
)
def test_a_shape_is_known_by_its_columns(row: Row, shape: str | None) -> None:
    assert recognise(row) == shape


@pytest.mark.parametrize(
    ("kind", "row"),
    [("chat", DPO), ("chat", {"text": "x"}), ("preference", OPENAI), ("generation", KTO)],
)
def test_rows_of_no_fitting_shape_are_reported_with_their_columns(kind: str, row: Row) -> None:
    with pytest.raises(DataError, match="D350") as caught:
        shape_of(task(kind), data(), row)

    assert f"`{next(iter(row))}`" in caught.value.problems[0].message


def test_a_thumb_that_is_no_truth_value_is_named() -> None:
    with pytest.raises(DataError, match="D350") as caught:
        shape_of(task("preference"), data(), {"prompt": "a", "completion": "b", "label": "yes"})

    assert caught.value.problems[0].hint == "kto needs a `label` that is true or false, not `yes`"


def test_the_recipe_says_it_before_the_row_does() -> None:
    assert shape_of(task("chat"), data(shape="alpaca"), OPENAI) == "alpaca"
    assert shape_of(task("chat"), data(messages=messages()), OPENAI) == "columns"
    assert shape_of(task("classification"), data(), ALPACA) == "columns"


@pytest.mark.parametrize(
    ("row", "text", "references", "own"),
    [
        (ALPACA, "q", ["a"], 0),
        ({**ALPACA, "input": "about"}, "q\n\nabout", ["a"], 0),
        ({**ALPACA, "system": "s"}, "q", ["a"], 1),
        ({**ALPACA, "history": [["q0", "a0"]]}, "q0\n\na0\n\nq", ["a"], 1),
        (PROMPT, "q", ["a"], 0),
        ({"prompt": [user("q")], "completion": [assistant("a")]}, "q", ["a"], 0),
        (OPENAI, "q", ["a"], 0),
        (SHAREGPT, "q", ["a"], 0),
        ({"messages": [{"role": "developer", "content": "s"}, *OPENAI["messages"]]}, "q", ["a"], 1),
    ],
)
def test_a_question_and_its_answer_are_read_from_every_shape(
    row: Row, text: str, references: list[str], own: int
) -> None:
    filled = fill(task("generation"), data(), row)

    assert (filled.input, filled.target, filled.lacks) == (text, "a", False)
    assert filled.payload["references"] == references
    assert ("messages" in filled.payload) == bool(own)


def test_a_row_without_an_answer_has_no_target() -> None:
    assert fill(task("generation"), data(), {**ALPACA, "output": " "}).target == ""
    assert fill(task("generation"), data(), {**ALPACA, "instruction": None}).lacks


def test_parts_and_weights_of_messages_are_read() -> None:
    row = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "value": "q"}], "loss_weight": 0.0},
            {**assistant("a0"), "weight": 0},
            user("q1 {{name}}"),
            {"role": "assistant", "content": [{"type": "text", "text": "a"}], "loss_weight": 1.0},
        ]
    }

    turns = fill(task("chat"), data(), row).payload["messages"]

    assert turns == [
        user("q"),
        {**assistant("a0"), "trained": False},
        user("q1 {{name}}"),
        assistant("a"),
    ]


def test_tool_calls_of_both_families_come_out_the_same() -> None:
    arguments = '{"city": "Rome", "days": 2}'
    openai = {
        "messages": [
            user("q"),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"type": "function", "function": {"name": "w", "arguments": arguments}}
                ],
            },
            {"role": "tool", "content": "sun"},
            assistant("a"),
        ],
        "tools": [{"type": "function", "function": {"name": "w"}}],
    }
    call = f'{{"name": "w", "arguments": {arguments}}}'
    sharegpt = {
        "conversations": [
            human("q"),
            {"from": "function_call", "value": call},
            {"from": "observation", "value": "sun"},
            gpt("a"),
        ],
        "tools": '[{"name": "w"}]',
    }

    one, other = (fill(task("chat"), data(), row) for row in (openai, sharegpt))

    assert one == other
    assert one.payload["messages"][1]["tool_calls"] == [
        {"type": "function", "function": {"name": "w", "arguments": {"city": "Rome", "days": 2}}}
    ]
    assert one.payload["tools"] == openai["tools"]
    assert "Rome" in one.input


def test_an_old_function_call_and_ids_are_kept() -> None:
    called = {"function_call": {"name": "w", "arguments": "{}"}}
    row = {
        "messages": [
            user("q"),
            {"role": "assistant", "content": "", **called},
            {"role": "function", "name": "w", "tool_call_id": "7", "content": "sun"},
            assistant("a"),
        ]
    }

    turns = fill(task("chat"), data(), row).payload["messages"]

    assert turns[1]["tool_calls"][0]["function"] == {"name": "w", "arguments": {}}
    assert turns[2] == {"role": "tool", "content": "sun", "name": "w", "tool_call_id": "7"}


def test_turns_are_read_where_the_recipe_says() -> None:
    spec = messages(
        role="speaker",
        content="said",
        roles=(("USER", "user"), ("SYSTEM", "assistant")),
        system="persona",
        tools="tools",
    )
    turns = [{"speaker": "USER", "said": "q"}, {"speaker": "SYSTEM", "said": "a"}]
    row = {"turns": turns, "persona": "s", "tools": None}

    filled = fill(task("chat"), data(messages=spec), row)

    assert filled.payload == {
        "messages": [{"role": "system", "content": "s"}, user("q"), assistant("a")]
    }
    with pytest.raises(MissingColumnError):
        fill(task("chat"), data(messages=messages(column="other")), row)


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([], "no list of turns"),
        ("text", "no list of turns"),
        (["text"], "not an object"),
        ([user("q")], "does not end with a turn of the assistant"),
        ([assistant("a")], "no turn of the user"),
        ([user("q"), {"role": "narrator", "content": "x"}], "`narrator`"),
        ([user("q"), {"role": "assistant"}], "has no text"),
        ([user("q"), {"role": "assistant", "content": 3}], "a text that is a int"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "`image_url`"),
        ([user("q"), {**assistant("a"), "weight": 0}], "learned from"),
        ([user("q"), {"role": "assistant", "tool_calls": [{"id": "1"}]}], "without a name"),
        (
            [user("q"), {"role": "assistant", "tool_calls": [{"name": "w", "arguments": "{"}]}],
            "no object of arguments",
        ),
    ],
)
def test_turns_that_cannot_be_read_are_reported(turns: Any, why: str) -> None:
    with pytest.raises(RejectedError, match=why) as caught:
        fill(task("chat"), data(shape="openai_messages"), {"messages": turns})

    assert caught.value.check == "schema_violations"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**OPENAI, "tools": "["}, "tools that are not JSON"),
        ({**OPENAI, "tools": ["w"]}, "no list of objects"),
        ({"messages": [{"role": "system", "content": "s"}, *OPENAI["messages"]], "system": "t"},
         "another among its turns"),
        ({"conversations": [human("q"), {"from": "function_call", "value": "w()"}]}, "not JSON"),
        ({**ALPACA, "history": "q0"}, "history that is no list"),
        ({**ALPACA, "history": [["q0"]]}, "no pair"),
    ],
)  # fmt: skip
def test_what_belongs_to_a_conversation_is_read_strictly(row: Row, why: str) -> None:
    with pytest.raises(RejectedError, match=why):
        fill(task("chat"), data(), row)


def test_a_generation_does_not_lose_tool_calls_silently() -> None:
    called = {"role": "assistant", "content": "a", "tool_calls": [{"name": "w", "arguments": {}}]}

    with pytest.raises(RejectedError, match="kind: chat"):
        fill(task("generation"), data(), {"messages": [user("q"), called]})


PAIR = {"messages": [user("q")], "chosen": [assistant("y")], "rejected": [assistant("n")]}


@pytest.mark.parametrize(
    "row",
    [
        DPO,
        {"prompt": [user("q")], "chosen": [assistant("y")], "rejected": [assistant("n")]},
        {"prompt": "q", "chosen": [user("q"), assistant("y")], "rejected": [user("q"), assistant("n")]},
        {"chosen": [user("q"), assistant("y")], "rejected": [user("q"), assistant("n")]},
        {"chosen_messages": [user("q"), assistant("y")], "rejected_messages": [user("q"), assistant("n")]},
        {"conversations": [human("q")], "chosen": gpt("y"), "rejected": gpt("n")},
        {"messages": [user("q")], "chosen": "y", "rejected": "n"},
        {"instruction": "q", "input": "", "chosen": "y", "rejected": "n"},
    ],
)  # fmt: skip
def test_a_pair_is_read_from_every_form(row: Row) -> None:
    filled = fill(task("preference"), data(), row)

    assert (filled.input, filled.target, filled.payload) == ("q", "y", PAIR)


def test_a_system_message_stays_with_the_prompt() -> None:
    row = {**DPO, "system": "s"}

    assert fill(task("preference"), data(), row).payload["messages"] == [
        {"role": "system", "content": "s"},
        user("q"),
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**DPO, "rejected": "y"}, "same answer"),
        ({"chosen": [user("q"), assistant("y")], "rejected": [user("p"), assistant("n")]}, "of its own"),
        ({**DPO, "chosen": [user("y")]}, "does not end with the assistant"),
        ({"chosen": [assistant("y")], "rejected": [assistant("n")]}, "no turn of the user"),
    ],
)  # fmt: skip
def test_a_pair_that_is_none_is_reported(row: Row, why: str) -> None:
    with pytest.raises(RejectedError, match=why):
        fill(task("preference"), data(), row)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (KTO, True),
        ({**OPENAI, "label": False}, False),
        ({**SHAREGPT, "kto_tag": True}, True),
        ({**ALPACA, "kto_tag": False}, False),
    ],
)
def test_a_thumb_is_read_from_every_form(row: Row, wanted: object) -> None:
    filled = fill(task("preference"), data(), row)

    assert filled.payload == {
        "messages": [user("q")],
        "answer": [assistant("a")],
        "desirable": wanted,
    }


def test_a_thumb_that_is_neither_up_nor_down_is_reported() -> None:
    with pytest.raises(RejectedError, match="neither true nor false"):
        fill(task("preference"), data(shape="kto"), {**KTO, "label": "yes"})


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared data sets are not here")
@pytest.mark.parametrize(
    ("name", "kind", "rows"),
    [
        ("alpaca_en_demo.json.gz", "generation", 999),
        ("identity.json", "generation", 91),
        ("dpo_en_demo.json.gz", "preference", 300),
        ("kto_en_demo.json.gz", "preference", 300),
        ("glaive_toolcall_en_demo.json.gz", "chat", 300),
        ("v1_sft_demo.jsonl.gz", "chat", 500),
        ("v1_dpo_demo.jsonl", "preference", 10),
    ],
)
def test_every_row_of_the_shared_samples_is_read(name: str, kind: str, rows: int) -> None:
    asked = task(kind)
    filled = [fill(asked, data(), row) for row in _sample(name)]

    assert len(filled) == rows
    assert all(one.input and one.target and not one.lacks for one in filled)
    assert all(_turns(asked, one) for one in filled)


def _sample(name: str) -> list[Row]:
    content = (SAMPLES / name).read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8")
    if ".jsonl" in name:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    found: list[Row] = json.loads(text)
    return found


def _turns(asked: Any, one: Filled) -> tuple[int, ...]:
    made = conversation(asked, input=one.input, target=one.target, payload=one.payload)
    return made.trained
