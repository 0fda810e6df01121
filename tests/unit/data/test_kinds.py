"""Rows of columns as each kind of task sees them."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.examples.template import (
    Filled,
    MissingColumnError,
    RejectedError,
    UnusableValueError,
)
from engine.recipe.model import AnswerSpec, PairSpec, SpanSpec, TagSpec
from support.tasks import answer, data, fill, label, task

Row = dict[str, Any]


def test_a_label_is_the_target() -> None:
    asked, section = (
        task("classification", labels=("a", "b")),
        data(label=label(relabel=(("0", "a"),))),
    )

    assert fill(asked, section, {"text": "x", "y": 0}) == Filled(
        input="x", target="a", labels=("a",)
    )
    assert fill(asked, section, {"text": "x", "y": None}) == Filled(input="x", target="")
    assert fill(asked, section, {"text": " ", "y": "b"}).lacks


@pytest.mark.parametrize("kind", ["classification", "multilabel"])
def test_an_unknown_label_is_reported_by_its_value(kind: str) -> None:
    with pytest.raises(RejectedError) as caught:
        fill(task(kind, labels=("a", "b")), data(label=label()), {"text": "x", "y": "A"})

    assert (caught.value.check, caught.value.value) == ("unknown_labels", "A")


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["b", "a"], ("a", "b")),
        ("b; a", ("a", "b")),
        ("1;;1", ("b",)),
        ([1, "a"], ("a", "b")),
        ([], ()),
        ("", ()),
        (None, ()),
        (" ; ", ()),
    ],
)
def test_labels_come_from_lists_and_from_texts(value: Any, labels: tuple[str, ...]) -> None:
    asked = task("multilabel", labels=("a", "b"))
    section = data(label=label(separator=";", relabel=(("1", "b"),)))

    filled = fill(asked, section, {"text": "x", "y": value})

    assert filled.labels == labels
    assert filled.target == (", ".join(labels) or "none")


def test_a_document_is_its_text() -> None:
    asked = task("text", input="{title}\n{text}")

    assert fill(asked, data(), {"title": "T", "text": "x\n"}) == Filled(input="T\nx\n", target="")


@pytest.mark.parametrize(
    ("spec", "row", "references"),
    [
        ({"column": "a"}, {"a": "x"}, ["x"]),
        ({"column": "a", "references": ("b",)}, {"a": "x", "b": ["y", "x", None, " "]}, ["x", "y"]),
        ({"references": ("b",)}, {"b": ["y", "z"]}, ["y", "z"]),
        ({"column": "a.0"}, {"a": ["x", "y"]}, ["x"]),
        ({"column": "a"}, {"a": 3.5}, ["3.5"]),
        ({"column": "a", "references": ("b",)}, {"a": "", "b": "y"}, ["y"]),
        ({"column": "a"}, {"a": None}, []),
    ],
)
def test_a_generation_knows_every_right_answer(spec: Row, row: Row, references: list[str]) -> None:
    filled = fill(task("generation"), data(answer=answer(**spec)), {"text": "q", **row})

    assert filled.payload == {"references": references}
    assert filled.target == (references[0] if references else "")


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "open": {"type": "boolean"},
        "stops": {"type": "array", "items": {"type": "string"}},
    },
}


def extract(answer: AnswerSpec, row: Row, schema: Any = None) -> Filled:
    asked = task("extraction", schema=SCHEMA if schema is None else schema)
    return fill(asked, data(answer=answer), {"text": "we go to Rome and Bari", **row})


@pytest.mark.parametrize("value", [{"days": 2, "city": "Rome"}, '{"days": 2, "city": "Rome"}'])
def test_an_object_is_written_in_one_way(value: Any) -> None:
    filled = extract(answer(column="a"), {"a": value})

    assert filled.target == '{"city":"Rome","days":2}'
    assert filled.payload == {"answer": {"city": "Rome", "days": 2}}


@pytest.mark.parametrize("value", [None, " "])
def test_a_row_without_an_object_has_no_target(value: Any) -> None:
    assert extract(answer(column="a"), {"a": value}).target == ""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("Rome", "not a JSON object"),
        ("[1]", "not a JSON object"),
        (3, "not a JSON object"),
        ('{"city": "a", "city": "b"}', "not a JSON object"),
        ('{"days": NaN}', "not a JSON object"),
        ({"days": float("nan")}, "JSON does not have"),
        ({"days": "2"}, "`days` '2' is not of type 'integer'"),
        ({"town": "Rome"}, "'town' was unexpected"),
        ({"stops": ["a", 1]}, "`stops.1`"),
    ],
)
def test_an_object_that_does_not_fit_is_reported(value: Any, why: str) -> None:
    with pytest.raises(RejectedError, match=why) as caught:
        extract(answer(column="a"), {"a": value})

    assert caught.value.check == "schema_violations"


FIELDS = answer(fields=(("city", "c"), ("days", "d"), ("open", "o"), ("stops", "s")))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"c": "Rome", "d": "2", "o": "true", "s": "x"},
         {"city": "Rome", "days": 2, "open": True, "stops": ["x"]}),
        ({"c": "12", "d": 2}, {"city": "12", "days": 2}),
        ({"c": None, "d": "", "o": False}, {"open": False}),
        ({"s": ["x", "y"], "c": float("nan")}, {"stops": ["x", "y"]}),
    ],
)  # fmt: skip
def test_fields_come_from_columns_in_the_type_of_the_schema(row: Row, found: Row) -> None:
    assert extract(FIELDS, row).payload == {"answer": found}


@pytest.mark.parametrize("days", ["2.5", "two", "007", "1e999", "٣"])
def test_a_text_that_is_no_such_number_is_reported(days: str) -> None:
    with pytest.raises(RejectedError, match="days"):
        extract(FIELDS, {"d": days})


def test_columns_of_which_none_is_there_are_a_mistake() -> None:
    with pytest.raises(MissingColumnError, match="c"):
        extract(FIELDS, {})


SPANS = answer(
    spans=SpanSpec(column="l", name="slot", start="span.start", end="span.end", of="text")
)


def span(slot: str, start: int | None, end: int) -> Row:
    at = {"end": end} if start is None else {"start": start, "end": end}
    return {"slot": slot, "span": at}


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([span("city", 9, 13)], {"city": "Rome"}),
        ([span("city", None, 2)], {"city": "we"}),
        ([span("stops", 9, 13)], {"stops": ["Rome"]}),
        ([span("stops", 9, 13), span("stops", 18, 22)], {"stops": ["Rome", "Bari"]}),
        ([], {}),
        (None, {}),
    ],
)
def test_spans_mark_pieces_of_the_text(spans: Any, found: Row) -> None:
    assert extract(SPANS, {"l": spans}).payload == {"answer": found}


def test_a_row_without_a_list_of_spans_has_no_field() -> None:
    assert extract(SPANS, {}).target == "{}"


def test_a_second_piece_is_never_lost() -> None:
    with pytest.raises(RejectedError, match="city"):
        extract(SPANS, {"l": [span("city", 9, 13), span("city", 18, 22)]})

    open_schema = {"type": "object"}
    both = extract(SPANS, {"l": [span("city", 9, 13), span("city", 18, 22)]}, open_schema)
    assert both.payload == {"answer": {"city": ["Rome", "Bari"]}}


@pytest.mark.parametrize(
    "spans",
    ["text", [3], [span("", 0, 2)], [span("city", 5, 5)], [span("city", 9, 23)],
     [span("city", -4, 2)], [{"slot": "city", "span": {"start": 0}}],
     [{"slot": "city", "span": {"start": "0", "end": 2}}]],
)  # fmt: skip
def test_spans_that_mark_nothing_are_reported(spans: Any) -> None:
    with pytest.raises(RejectedError) as caught:
        extract(SPANS, {"l": spans})

    assert caught.value.check == "schema_violations"


TAGS = answer(tags=TagSpec(column="t", of="text"))
LISTS = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O O O B-city O B-city", {"city": ["Rome", "Bari"]}),
        ("O O B-a I-a I-a I-a", {"a": ["to Rome and Bari"]}),
        ("O O I-a B-a I-b I-a", {"a": ["to", "Rome", "Bari"], "b": ["and"]}),
        ("B-a-b I-a-b O O O O", {"a-b": ["we go"]}),
        (["O", "O", "O", "B-city", "O", "O"], {"city": ["Rome"]}),
        ("O O O O O O", {}),
    ],
)
def test_tags_mark_words(tags: Any, found: Row) -> None:
    assert extract(TAGS, {"t": tags}, LISTS).payload == {"answer": found}


@pytest.mark.parametrize("tags", ["O O", "O O O O O X-a", "O O O O O B-", "O O O O O city", ""])
def test_tags_that_do_not_fit_the_words_are_reported(tags: str) -> None:
    with pytest.raises(RejectedError):
        extract(TAGS, {"t": tags}, LISTS)


def test_a_pair_is_read_from_the_columns_named() -> None:
    section = data(pair=PairSpec(prompt="q", chosen="y", rejected="n"))

    filled = fill(task("preference"), section, {"q": "ask", "y": "good", "n": "bad"})

    assert (filled.input, filled.target) == ("ask", "good")
    assert filled.payload["rejected"] == [{"role": "assistant", "content": "bad"}]
    with pytest.raises(MissingColumnError, match="n"):
        fill(task("preference"), section, {"q": "ask", "y": "good"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "from", "value", "name", "arguments", "type", "text"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
COLUMNS = ("messages", "conversations", "tools", "system", "chosen", "rejected", "prompt", "label",
           "completion", "instruction", "input", "output", "history", "functions")  # fmt: skip


@given(
    st.sampled_from(
        [("chat", "openai_messages"), ("chat", "alpaca"), ("generation", "prompt_completion"),
         ("preference", "dpo"), ("preference", "kto")]
    ),
    st.dictionaries(st.sampled_from(COLUMNS), JSON),
)  # fmt: skip
def test_whatever_a_row_holds_it_is_read_or_reported(kind: tuple[str, str], row: Row) -> None:
    refusals = (MissingColumnError, RejectedError, UnusableValueError)
    with suppress(*refusals):
        assert isinstance(fill(task(kind[0]), data(shape=kind[1]), row), Filled)
