"""The input template: columns, literal braces, and nothing else."""

from __future__ import annotations

import pytest

from engine.recipe.prompt import TemplateError, fields, pieces


def test_pieces_alternate_text_and_columns() -> None:
    expected = (("A ", False), ("a.1.b", True), (" ", False), ("{", False), ("x", False))

    assert expected == pieces("A {a.1.b} {{x")


def test_columns_are_named_once_in_order() -> None:
    assert fields("{b}{a}{b}") == ("b", "a")


@pytest.mark.parametrize("template", ["{", "}", "a}", "{a", "{}", "{ a }", "{a..b}", "{a{b}}"])
def test_a_broken_template_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        pieces(template)
