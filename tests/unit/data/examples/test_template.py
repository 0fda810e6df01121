"""Filling the template, and labels."""

import datetime as dt
import math
from typing import Any

import pytest

from engine.data.examples.answers import NoBinError, NoNumberError, meant, near_label
from engine.data.examples.template import (
    MissingColumnError,
    UnusableValueError,
    lookup,
    parse_template,
)
from engine.data.kinds.labels import label_of
from engine.errors import DataError
from engine.recipe.model import Bin, LabelSpec

BINS = (Bin(label="low", min=None, max=-1.0), Bin(label="high", min=1.0, max=2.5))


def fill(template: str, **values: Any) -> tuple[str, bool]:
    return parse_template(template).fill(values)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{text}", "hi"),
        ("a {text} b {text}", "a hi b hi"),
        ("{{text}}", "{text}"),
        ("{{{text}}}", "{hi}"),
        ("}}{{", "}{"),
        ("no column", "no column"),
        ("", ""),
        ("{deep.list.1.x}", "7"),
        ("{number} {yes} {float}", "3 true 1.5"),
        ("{deep}", '{"list":[1,{"x":7}]}'),
        ("{a.b}", "literal"),
    ],
)
def test_columns_are_filled_and_doubled_braces_are_literal(template: str, expected: str) -> None:
    values = {
        "text": "hi",
        "deep": {"list": [1, {"x": 7}]},
        "number": 3,
        "yes": True,
        "float": 1.5,
        "a.b": "literal",
    }

    assert parse_template(template).fill(values) == (expected, False)


@pytest.mark.parametrize("template", ["{", "}", "{}", "a { b", "{{}", "{a}}", "{a{b}}"])
def test_a_stray_brace_is_reported(template: str) -> None:
    with pytest.raises(DataError, match="D302"):
        parse_template(template)


def test_a_text_with_braces_is_not_a_template() -> None:
    assert fill("{text}", text="{other} }{") == ("{other} }{", False)


@pytest.mark.parametrize("blank", [None, math.nan, "", " \n\t"])
def test_a_missing_value_is_noticed(blank: Any) -> None:
    assert fill("{a} {b}", a="x", b=blank)[1] is True


def test_below_null_there_is_no_value() -> None:
    assert lookup({"queue": None}, "queue.name") is None


@pytest.mark.parametrize("path", ["b", "a.2", "a.-1", "a.x", "a.0.y", "a.0.x.0", ""])
def test_a_missing_column_is_reported(path: str) -> None:
    with pytest.raises(MissingColumnError):
        lookup({"a": [{"x": "text"}]}, path)


@pytest.mark.parametrize("value", [dt.date(2026, 1, 1), b"x", {"a": {1, 2}}])
def test_values_without_a_text_form_are_reported(value: Any) -> None:
    with pytest.raises(UnusableValueError):
        fill("{a}", a=value)


def spec(**changes: Any) -> LabelSpec:
    return LabelSpec(**{"column": "y", "relabel": (), "bins": (), "separator": ",", **changes})


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", "ham"), (0, "ham"), ("1", "spam"), ("other", "other"), (True, "true"), (" ", "")],
)
def test_values_are_relabelled_by_their_text(value: Any, expected: str) -> None:
    assert "".join(label_of({"y": value}, spec(relabel=(("0", "ham"), ("1", "spam"))))) == expected


@pytest.mark.parametrize("value", [None, math.nan, ""])
def test_a_missing_label_is_empty(value: Any) -> None:
    assert label_of({"y": value}, spec(bins=BINS)) == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("-1", "low"), ("-1.0", "low"), (-7, "low"), ("1", "high"), ("2.5", "high"), ("1e0", "high")],
)
def test_both_ends_of_a_bin_belong_to_it(value: Any, expected: str) -> None:
    assert label_of({"y": value}, spec(bins=BINS)) == (expected,)


@pytest.mark.parametrize("value", ["-0.999999", 0, "2.500001", "1e9"])
def test_a_number_in_no_bin_is_reported(value: Any) -> None:
    with pytest.raises(NoBinError):
        label_of({"y": value}, spec(bins=BINS))


@pytest.mark.parametrize("value", ["1,5", "n/a", "nan", "inf", "1_000", "0x1", True, "٣", [1]])
def test_what_is_no_plain_number_is_in_no_bin_silently(value: Any) -> None:
    with pytest.raises(NoNumberError):
        label_of({"y": value}, spec(bins=BINS))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Positive", "positive"),
        ("positve", "positive"),
        ("how-to", "how_to"),
        (" how to ", "how_to"),
        ("xyz", None),
    ],
)
def test_the_label_a_value_misspells_is_found(value: str, expected: str | None) -> None:
    assert near_label(value, ("positive", "how_to")) == expected


@pytest.mark.parametrize(
    ("value", "labels", "expected"),
    [
        ("\U0001f600", ("\U0001f44d", "\U0001f44e"), ""),  # no emoji is near another
        ("?", ("yes", "!"), ""),
        ("c#", ("c+", "c-", "c"), ""),  # as near to each
        ("कि", ("का", "की"), ""),  # a vowel sign is no blank
        ("cafe\u0301", ("caf\u00e9", "bar"), ", did you mean `café` (U+0301 in place of U+00E9)?"),
        ("no\u200b", ("yes", "no"), ", did you mean `no` (U+200B)?"),
        ("NO", ("yes", "no"), ", did you mean `no`?"),
    ],
)
def test_a_label_is_named_only_where_one_is_nearest(
    value: str, labels: tuple[str, ...], expected: str
) -> None:
    assert meant(value, labels, several=False) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bug; login", ', write `data.label.separator: ";"`'),
        ("bug|login|", ', write `data.label.separator: "|"`'),
        ("bugs", ", did you mean `bug`?"),
        ("None", ": a row without labels is blank there"),
        ("bug; spam and more", ""),
        (";", ""),
    ],
)
def test_labels_with_another_separator_between_them_are_known(value: str, expected: str) -> None:
    assert meant(value, ("bug", "login"), several=True) == expected


def test_one_label_has_no_separator() -> None:
    assert "separator" not in meant("bug;login", ("bug", "login"), several=False)
