"""When a JSON Schema of answers asks less than before."""

from __future__ import annotations

from typing import Any

import pytest

from engine.review.weakening import loosened

OLD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "item": {"type": "string", "minLength": 1, "maxLength": 40},
        "amount": {"type": "integer", "minimum": 1},
        "sizes": {"type": "array", "items": {"enum": ["small", "large"]}, "maxItems": 3},
    },
    "required": ["item", "amount"],
    "additionalProperties": False,
}


def changed(**parts: Any) -> dict[str, Any]:
    return {**OLD, **parts}


def with_property(name: str, schema: Any) -> dict[str, Any]:
    return changed(properties={**OLD["properties"], name: schema})


@pytest.mark.parametrize(
    ("new", "places"),
    [
        (changed(required=["item"]), ["required: amount"]),
        (changed(additionalProperties=True), ["additionalProperties"]),
        (changed(properties={"item": OLD["properties"]["item"]}), ["properties.amount", "properties.sizes"]),
        (with_property("amount", {"type": "integer"}), ["properties.amount.minimum"]),
        (with_property("amount", {"type": ["integer", "null"], "minimum": 1}), ["properties.amount.type"]),
        (with_property("amount", {"type": "integer", "minimum": 0}), ["properties.amount.minimum"]),
        (with_property("item", {"type": "string", "minLength": 1, "maxLength": 50}), ["properties.item.maxLength"]),
        (
            with_property("sizes", {**OLD["properties"]["sizes"], "items": {"enum": ["small", "large", "huge"]}}),
            ["properties.sizes.items.enum"],
        ),
        ("no schema", ["schema"]),
    ],
)  # fmt: skip
def test_what_asks_less_is_named(new: Any, places: list[str]) -> None:
    assert loosened(OLD, new) == places


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        changed(title="An order", description="What was ordered."),
        changed(required=["amount", "item"]),
        changed(required=["item", "amount", "sizes"]),
        with_property("amount", {"type": "integer", "minimum": 2, "maximum": 9}),
        with_property("colour", {"type": "string"}),
    ],
)
def test_what_asks_as_much_or_more_is_no_loss(new: Any) -> None:
    assert loosened(OLD, new) == []
