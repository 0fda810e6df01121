from collections import Counter
from typing import Any

import pytest

from engine.metrics.families.fields import canonical, fits, leaves_of
from engine.recipe.metrics import leaves

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"type": "number"}}},
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}


def test_values_are_counted_by_path_without_list_indexes() -> None:
    value = {"name": "a", "items": [{"price": 1}, {"price": 1.0}, {"price": 2}], "empty": []}

    assert leaves_of(value, ()) == Counter(
        {("name", '"a"'): 1, ("items.price", "1"): 2, ("items.price", "2"): 1}
    )


def test_what_stands_at_a_known_path_is_one_value_whatever_it_holds() -> None:
    value = {"at": {"city": "Ulm"}, "tags": [["a"], ["b", {"c": 1}]]}

    assert leaves_of(value, ("at", "tags")) == Counter(
        {
            ("at", '{"city": "Ulm"}'): 1,
            ("tags", '"a"'): 1,
            ("tags", '"b"'): 1,
            ("tags", '{"c": 1}'): 1,
        }
    )


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ([1, 2], [2, 1], False),
        (True, 1, False),
        (False, 0, False),
        ("1", 1, False),
        ("a", "A", False),
        ("a", "a ", False),
        ("é", "e\u0301", False),
        (None, "", False),
        (10**22, 1e22, True),
        (0.1, 0.10, True),
        (0.0, -0.0, True),
    ],
)
def test_values_are_compared_exactly(one: Any, other: Any, equal: bool) -> None:
    assert (canonical(one) == canonical(other)) is equal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "a"}', (True, False)),
        (' {"name": "a", "items": [{"price": 2}]}\n', (True, False)),
        ('{"name": 5}', (False, True)),
        ('{"name": "a", "count": "5"}', (False, True)),
        ('{"name": "a", "items": [{"price": "2"}]}', (False, True)),
        ('{"name": "a", "other": 1}', (False, False)),
        ("{}", (False, False)),
        ("[]", (False, True)),
        ('{"name": "a"', (False, False)),
        ("the name is a", (False, False)),
        ("", (False, False)),
    ],
)
def test_outputs_that_do_not_fit_are_distinguished_from_values_of_a_wrong_type(
    text: str, expected: tuple[bool, bool]
) -> None:
    assert fits(text, ORDER) == expected


def test_one_alternative_that_fits_by_type_is_enough() -> None:
    schema: Any = {
        "properties": {"size": {"oneOf": [{"type": "integer"}, {"enum": ["small", "large"]}]}}
    }

    assert fits('{"size": "huge"}', schema) == (False, False)
    assert fits('{"size": 2.5}', {"properties": {"size": {"anyOf": [{"type": "integer"}]}}}) == (
        False,
        True,
    )


def test_a_repeated_key_is_no_valid_output() -> None:
    assert fits('{"name": "a", "name": "b"}', ORDER) == (False, False)


def test_a_field_without_a_name_is_one_field_and_not_the_whole_object() -> None:
    schema: Any = {"properties": {"": {}, "a": {"properties": {"": {}, "b": {}}}}}
    value = {"": 1, "a": {"": 2, "b": 3}}

    found = leaves_of(value, leaves(schema))

    assert found == Counter({("", "1"): 1, ("a.", "2"): 1, ("a.b", "3"): 1})
