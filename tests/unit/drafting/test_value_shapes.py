"""Rows in YAML: what stands without quotes is what it looks like."""

import pytest

from engine.drafting.value_shapes import load_rows, load_yaml


@pytest.mark.parametrize(
    "written", ["yes", "no", "on", "Off", "007", "12:30", "2020-01-01", "0x1f", "=", "NaN"]
)
def test_what_only_yaml_1_1_takes_for_another_value_is_text(written: str) -> None:
    assert load_rows(f"- {{label: {written}, {written}: 1}}") == [{"label": written, written: 1}]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("7", 7),
        ("1.5", 1.5),
        ("~", None),
        ("", None),
        ("'7'", "7"),
        ("!!str 7", "7"),
    ],
)
def test_numbers_and_truth_values_are_such_unless_in_quotes(written: str, value: object) -> None:
    [row] = load_rows(f"- {{label: {written}}}")

    assert (row["label"], type(row["label"])) == (value, type(value))


def test_an_alias_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"the alias `\*a`: write its value there"):
        load_rows("- &a {x: no}\n- {<<: *a, y: 1}")


@pytest.mark.parametrize("number", ["1e999", ".inf", "9" * 40])
def test_a_number_that_nothing_holds_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="not finite, or too large"):
        load_rows(f"- {{a: {number}}}")


def test_configs_of_other_tools_are_read_as_these_tools_do() -> None:
    assert load_yaml("fp16: no", most=99) == {"fp16": False}
