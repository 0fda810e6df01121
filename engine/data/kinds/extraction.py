"""A JSON object for each text, checked against the schema of the task."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from engine.data.examples.answers import read_answer_object, read_fields, read_spans, read_tags
from engine.data.examples.template import (
    Fill,
    Filled,
    MissingColumnError,
    Values,
    malformed,
    parse_template,
)
from engine.data.reading.row import excerpt
from engine.recipe.model import AnswerSpec, Data, Json, Task
from engine.recipe.patterns import in_time, validator
from engine.recipe.prompt import write_object

_MOST_SHOWN = 3
_MOST_ERRORS = 1000
"""Of an answer; a list of a hundred thousand wrong values has as many."""


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what gathers the answer, checks it and writes it in one way.

    A row without an answer in its column has no target. RejectedError (`schema_violations`) for an
    answer that is no object or does not fit the schema.
    """
    del shape
    template, validate = parse_template(task.input), _validator(task.schema)
    spec = data.answer
    if spec is None:
        raise ValueError("an extraction without data.answer")

    def fill(values: Values) -> Filled:
        try:
            answer = _answer(values, spec, task.schema)
        except MissingColumnError as error:
            columns = (spec.column, *(name for _, name in spec.fields))
            if not spec.missing or str(error) not in columns:
                raise
            answer = {}
        if answer is None and spec.missing:
            answer = {}
        text, lacks = template.fill(values)
        if answer is None:
            return Filled(input=text, target="", lacks=lacks)
        # Before `validate`: a value without a JSON form (a date of Parquet) is named as one here;
        # the validator would call it a wrong type.
        target = _written(answer, task.schema)
        validate(answer)
        return Filled(input=text, target=target, payload={"answer": answer}, lacks=lacks)

    return fill


def _answer(values: Values, spec: AnswerSpec, schema: Json) -> dict[str, Any] | None:
    """Return a row's answer, gathered the one way that the recipe names (R242)."""
    if spec.spans is not None:
        return read_spans(values, spec.spans, schema)
    if spec.tags is not None:
        return read_tags(values, spec.tags, schema)
    if spec.fields:
        return read_fields(values, spec.fields, schema)
    return read_answer_object(values, spec.column)


def _written(answer: Mapping[str, Any], schema: Json) -> str:
    try:
        return write_object(answer, schema)
    except (TypeError, ValueError) as error:
        raise malformed(f"has an answer with a value that JSON does not have: {error}") from error


def _validator(schema: Json) -> Callable[[Mapping[str, Any]], None]:
    """Return what raises RejectedError for an answer that does not fit, every reason in it."""
    checker = validator(cast("dict[str, Json]", schema))

    def validate(answer: Mapping[str, Any]) -> None:
        # A pattern in the schema may backtrack without end on a hostile row.
        with in_time("task.schema", "the answer of one row"):
            found = islice(checker.iter_errors(answer), _MOST_ERRORS)
            errors = sorted(found, key=lambda error: error.json_path)
        if errors:
            faults = "; ".join(
                _fault_text(error.path, error.message) for error in errors[:_MOST_SHOWN]
            )
            raise malformed(f"has an answer that does not fit: {faults}")

    return validate


def _fault_text(path: Sequence[str | int], message: str) -> str:
    at = ".".join(map(str, path))
    return f"`{at}` {excerpt(message)}" if at else excerpt(message)
