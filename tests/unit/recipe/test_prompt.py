"""What is asked and what counts as an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.recipe.model import Task
from engine.recipe.prompt import (
    TemplateError,
    answer_text,
    fields,
    joined_labels,
    messages,
    parse_answer,
    pieces,
    split_labels,
)


def task(**changes: object) -> Task:
    given_: dict[str, object] = {
        "kind": "classification",
        "instruction": "Which: {labels}?",
        "system": "",
        "input": "{text}",
        "labels": ("a", 'say "b"', "é"),
        "schema": None,
        "output": "text",
    }
    return Task(**(given_ | changes))  # type: ignore[arg-type]


def test_the_question_is_the_instruction_a_blank_line_and_the_text() -> None:
    expected = [{"role": "user", "content": 'Which: a, say "b", é?\n\nhello'}]

    assert expected == messages(task(), "hello")


def test_a_system_message_stands_first_and_shots_before_the_question() -> None:
    chat = messages(task(system="Sort."), "last", [("first", "a")])

    assert [turn["role"] for turn in chat] == ["system", "user", "assistant", "user"]
    assert chat[2]["content"] == "a"
    assert chat[1]["content"].endswith("\n\nfirst")


def test_braces_in_the_text_stay_as_they_are() -> None:
    assert messages(task(), "{labels}")[0]["content"].endswith("\n\n{labels}")


def test_shots_answer_in_the_form_that_is_trained() -> None:
    chat = messages(task(output="json"), "x", [("y", "a")])

    assert chat[1]["content"] == '{"label": "a"}'


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("label", ["a", 'say "b"', "é"])
def test_an_answer_is_parsed_back(output: str, label: str) -> None:
    asked = task(output=output)

    assert label == parse_answer(asked, f"\n {answer_text(asked, label)} ")


@pytest.mark.parametrize("text", ["A", "a.", "a b", "", "label: a", '{"label": "a"}'])
def test_what_only_resembles_a_label_is_no_answer(text: str) -> None:
    assert parse_answer(task(), text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a",
        '{"label": "c"}',
        '{"label": ["a"]}',
        '{"label": "a", "why": 1}',
        '{"label": "a", "label": "a"}',
        '{"label": "a"} ok',
        "[" * 100_000,
        "null",
    ],
)
def test_json_that_is_not_exactly_the_answer_is_none(text: str) -> None:
    assert parse_answer(task(output="json"), text) is None


@given(st.text(), st.sampled_from(["text", "json"]))
def test_parsing_never_raises(text: str, output: str) -> None:
    assert parse_answer(task(output=output), text) in (None, "a", 'say "b"', "é")


def several(**changes: object) -> Task:
    return task(kind="multilabel", labels=("a", "b", "c d"), **changes)


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("labels", [(), ("a",), ("c d", "a"), ("a", "b", "c d")])
def test_several_labels_are_parsed_back(output: str, labels: tuple[str, ...]) -> None:
    asked = several(output=output)
    target = joined_labels(asked, labels)

    assert target == parse_answer(asked, answer_text(asked, target))
    assert sorted(labels) == split_labels(target)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("text", "a,b"),
        ("text", "a, a"),
        ("text", "a, x"),
        ("text", "none, a"),
        ("text", ""),
        ("json", '{"labels": "a"}'),
        ("json", '{"labels": ["a", "a"]}'),
        ("json", '{"labels": [["a"]]}'),
        ("json", '{"label": ["a"]}'),
    ],
)
def test_what_only_resembles_labels_is_no_answer(output: str, text: str) -> None:
    assert parse_answer(several(output=output), text) is None


def test_labels_in_another_order_are_the_same_answer() -> None:
    assert parse_answer(several(), "c d, a") == "a, c d"


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"$ref": "#/$defs/place"},
        "stops": {"items": {"$ref": "#/$defs/place"}},
    },
    "$defs": {"place": {"properties": {"name": {}, "zip": {}}}},
}


def test_an_object_is_written_in_the_order_of_its_schema() -> None:
    asked = task(kind="extraction", labels=(), schema=SCHEMA)
    text = ' {"more": 1, "stops": [{"zip": 2, "name": "é"}], "city": {"zip": 1, "name": "b"}} '

    expected = '{"city":{"name":"b","zip":1},"stops":[{"name":"é","zip":2}],"more":1}'

    assert expected == parse_answer(asked, text)


@pytest.mark.parametrize(
    "text", ["[]", "{}{}", '{"a": 1, "a": 1}', '{"a": NaN}', '{"a": [-1e999]}', "x", '"{}"']
)
def test_what_is_no_object_is_no_answer(text: str) -> None:
    assert parse_answer(task(kind="extraction", labels=(), schema={}), text) is None


def test_a_schema_that_refers_to_itself_ends() -> None:
    asked = task(
        kind="extraction", schema={"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    )

    assert parse_answer(asked, '{"b": 1}') == '{"b":1}'


@pytest.mark.parametrize(("text", "expected"), [(" once \n", "once"), ("  ", None)])
def test_a_text_is_its_own_answer(text: str, expected: str | None) -> None:
    assert parse_answer(task(kind="generation", labels=()), text) == expected


def test_pieces_alternate_text_and_columns() -> None:
    expected = (("A ", False), ("a.1.b", True), (" ", False), ("{", False), ("x", False))

    assert expected == pieces("A {a.1.b} {{x")


def test_columns_are_named_once_in_order() -> None:
    assert fields("{b}{a}{b}") == ("b", "a")


@pytest.mark.parametrize("template", ["{", "}", "a}", "{a", "{}", "{ a }", "{a..b}", "{a{b}}"])
def test_a_broken_template_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        pieces(template)
