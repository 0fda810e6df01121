"""Grammars of answers: every right answer is accepted, and nothing else is."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.errors import StageError
from engine.recipe.answer_grammar import answer_grammar, object_grammar
from engine.recipe.model import Task
from engine.recipe.prompt import answer_text, joined_labels, parse_answer, read_object, write_object
from engine.runtime.generation.grammar import Grammar, check_grammar, grammar_problems
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.chat import load_chat
from support.examples import examples

LABELS = ("late", "late again", "broken", 'so-"called"', "日本")
END = "<|im_end|>"


def _task(kind: Any, *, output: Any = "text", schema: Any = None) -> Task:
    labels = LABELS if kind in ("classification", "multilabel") else ()
    return Task(
        kind=kind,
        instruction="Say it.",
        system="",
        input="{text}",
        labels=labels,
        schema=schema,
        output=output,
    )


def _grammar(pico: LoadedModel, answer: str | None, terminator: str = END) -> Grammar:
    assert answer is not None
    return Grammar.of(pico.chat.tokenizer, answer, terminator)


def _accepts(grammar: Grammar, pico: LoadedModel, text: str) -> bool:
    """Say the text as training would, taking forced tokens as they come."""
    matcher = grammar.matcher()
    left = pico.chat.token_ids(text)
    while not matcher.is_done:
        forced = matcher.forced()
        if left[: len(forced)] != forced:
            return False
        left = left[len(forced) :]
        if matcher.is_done:
            break
        if not left or left[0] not in matcher.allowed().tolist():
            return False
        matcher.accept(left.pop(0))
    return not left


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_label_is_a_valid_answer_and_nothing_else_is(pico: LoadedModel, output: str) -> None:
    task = _task("classification", output=output)
    grammar = _grammar(pico, answer_grammar(task))

    accepted = [_accepts(grammar, pico, answer_text(task, label) + END) for label in LABELS]

    assert all(accepted)
    assert not _accepts(grammar, pico, f"never{END}")
    assert not _accepts(grammar, pico, f"late, broken{END}")


@pytest.mark.parametrize("output", ["text", "json"])
@given(labels=st.sets(st.sampled_from(LABELS)))
@settings(deadline=None, max_examples=examples(40))
def test_any_set_of_labels_is_a_valid_answer(
    pico: LoadedModel, output: str, labels: set[str]
) -> None:
    task = _task("multilabel", output=output)
    text = answer_text(task, joined_labels(task, sorted(labels)))

    assert _accepts(_grammar(pico, answer_grammar(task)), pico, text + END)


@pytest.mark.parametrize(
    "text", ["", "broken, late", "late, late", "late, ", "late,broken", "nonelate"]
)
def test_no_other_list_of_labels_is_a_valid_answer(pico: LoadedModel, text: str) -> None:
    grammar = _grammar(pico, answer_grammar(_task("multilabel")))

    assert not _accepts(grammar, pico, text + END)


def test_forced_tokens_come_without_asking(pico: LoadedModel) -> None:
    grammar = _grammar(pico, 'answer: "positive" | "negative"')
    matcher = grammar.matcher()
    first = pico.chat.token_ids("negative")[0]

    before = matcher.forced()
    matcher.accept(first)
    after = matcher.forced()

    assert [first, *after] == [*pico.chat.token_ids("negative"), *pico.chat.token_ids(END)]
    assert (before, matcher.is_done) == ([], True)


def test_a_token_out_of_place_is_refused(pico: LoadedModel) -> None:
    matcher = _grammar(pico, 'answer: "positive"').matcher()

    with pytest.raises(ValueError, match="may not come next"):
        matcher.accept(pico.chat.token_ids("x")[0])


@pytest.mark.parametrize("terminator", ["\n### end", " <|im_end|>", "<|im_end|><|endoftext|>", "}"])
def test_a_terminator_of_several_tokens_is_generated_whole(
    pico: LoadedModel, terminator: str
) -> None:
    grammar = _grammar(pico, object_grammar(_object({"n": {"type": "integer"}})), terminator)

    assert _accepts(grammar, pico, '{"n":1}' + terminator)
    assert not _accepts(grammar, pico, '{"n":1}')


def test_the_terminator_may_come_only_at_the_end(pico: LoadedModel) -> None:
    matcher = _grammar(pico, 'answer: "a" | "ab"').matcher()
    (end,) = pico.chat.token_ids(END)

    at_start = end in matcher.allowed().tolist()
    matcher.accept(pico.chat.token_ids("a")[0])

    assert (at_start, end in matcher.allowed().tolist()) == (False, True)


def test_a_model_folder_gives_the_grammar_that_its_tokenizer_gives(
    pico: LoadedModel, pico_folder: Path
) -> None:
    answer = answer_grammar(_task("multilabel"))
    assert answer is not None

    grammar = Grammar.of(load_chat(pico_folder).tokenizer, answer, END)

    assert _accepts(grammar, pico, f"late, 日本{END}")


def test_a_tokenizer_that_is_not_a_fast_one_is_an_error() -> None:
    with pytest.raises(StageError) as caught:
        Grammar.of(object(), 'answer: "a"', END)

    assert caught.value.problems[0].code == "X615"


def _object(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), **more}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8)
NAMES = st.lists(TEXT, unique=True, min_size=1, max_size=4)


@st.composite
def _schema_and_value(draw: st.DrawFn, depth: int = 2) -> tuple[dict[str, Any], Any]:
    """A schema and a value that fits it."""
    kinds = ["string", "integer", "number", "boolean", "null", "enum"]
    kind = draw(st.sampled_from([*kinds, "object", "array"] if depth else kinds))
    if kind == "object":
        return draw(_object_and_value(depth - 1))
    if kind == "array":
        schema, value = draw(_schema_and_value(depth - 1))
        return {"type": "array", "items": schema}, [value] * draw(st.integers(0, 2))
    if kind == "enum":
        options = draw(
            st.lists(st.one_of(TEXT, st.integers(-9, 9), st.none()), min_size=1, max_size=3)
        )
        return {"enum": options}, draw(st.sampled_from(options))
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    values: dict[str, st.SearchStrategy[Any]] = {
        "string": TEXT,
        "integer": st.integers(),
        "number": st.one_of(numbers, st.integers()),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return {"type": kind}, draw(values[kind])


@st.composite
def _object_and_value(draw: st.DrawFn, depth: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    names = draw(NAMES)
    fields = {name: draw(_schema_and_value(depth)) for name in names}
    required = draw(st.lists(st.sampled_from(names), unique=True))
    kept = [name for name in names if name in required or draw(st.booleans())]
    schema = _object({name: schema for name, (schema, _) in fields.items()}, required=required)
    return schema, {name: fields[name][1] for name in draw(st.permutations(kept))}


@given(drawn=_object_and_value())
@settings(deadline=None, max_examples=examples(60))
def test_every_object_that_fits_is_valid_as_it_is_written(
    pico: LoadedModel, drawn: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    schema, value = drawn
    grammar = _grammar(pico, object_grammar(schema))

    assert _accepts(grammar, pico, write_object(value, schema) + END)


@given(
    drawn=_object_and_value(), choices=st.lists(st.integers(0, 1 << 16), min_size=200, max_size=200)
)
@settings(deadline=None, max_examples=examples(40))
def test_whatever_is_generated_parses_and_fits(
    pico: LoadedModel, drawn: tuple[dict[str, Any], dict[str, Any]], choices: list[int]
) -> None:
    schema, _ = drawn
    matcher = _grammar(pico, object_grammar(schema)).matcher()
    tokens = matcher.forced()
    closing = [pico.chat.token_ids(text)[0] for text in ('"', "}", "]", "1", END)]

    for choice in choices:  # at random at first, then towards an end
        if matcher.is_done:
            break
        allowed = matcher.allowed().tolist()
        ends = [token for token in closing if token in allowed]
        token = ends[0] if ends and len(tokens) > 30 else allowed[choice % len(allowed)]
        matcher.accept(token)
        tokens += [token, *matcher.forced()]

    text = pico.chat.text(tokens)
    if matcher.is_done and not _is_beyond_floats(text):
        found = read_object(text)
        assert found is not None
        Draft202012Validator(schema).validate(found)
        assert parse_answer(_task("extraction", schema=schema), text) is not None


def _is_beyond_floats(text: str) -> bool:
    """JSON knows numbers such as 1e999, which no float holds: they count as no answer."""
    numbers: list[float] = []
    json.loads(text, parse_float=lambda written: numbers.append(float(written)))
    return not all(map(math.isfinite, numbers))


def test_fields_that_no_schema_names_are_not_generated_unless_it_says_so(pico: LoadedModel) -> None:
    schema = _object({"a": {"type": "string"}})
    text = '{"a":"x","b":1}' + END

    closed = _accepts(_grammar(pico, object_grammar(schema)), pico, text)
    opened = {**schema, "additionalProperties": True}

    assert not closed
    assert _accepts(_grammar(pico, object_grammar(opened)), pico, text)


def test_a_required_field_that_is_not_described_can_still_be_answered(pico: LoadedModel) -> None:
    schema = _object({"a": {"type": "string"}}, required=["a", "b"])

    assert _accepts(_grammar(pico, object_grammar(schema)), pico, '{"a":"x","b":1}' + END)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"a": {"type": "array", "uniqueItems": True}}, "task.schema.properties.a.uniqueItems"),
        ({"a": {"type": "string", "pattern": "(?=x)y"}}, "task.schema.properties.a.pattern"),
        ({"a": {"$ref": "#/$defs/b"}}, "task.schema.$defs.b.not"),
    ],
)
def test_a_schema_that_no_grammar_can_hold_is_refused_at_its_place(schema: Any, path: str) -> None:
    whole = _object(
        schema,
        **(
            {"$defs": {"b": {"type": "string", "not": {"const": "x"}}}}
            if "$ref" in schema["a"]
            else {}
        ),
    )

    with pytest.raises(StageError) as caught:
        check_grammar(_task("extraction", schema=whole))

    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("X614", path)
    assert "\n" not in problem.message


@pytest.mark.parametrize("kind", ["classification", "multilabel", "generation", "text"])
def test_other_kinds_have_nothing_to_refuse(kind: str) -> None:
    assert list(grammar_problems(_task(kind))) == []


def test_a_grammar_is_plain_text() -> None:
    answer = answer_grammar(_task("extraction", schema=_object({"é": {"type": "string"}})))

    assert answer == json.loads(json.dumps(answer))
