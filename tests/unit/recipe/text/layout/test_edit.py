"""Edit keys in a recipe's text: one word or one line changes, whatever the style around it."""

from pathlib import Path

import pytest

from engine.errors import RecipeError
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.layout.edit import Edit, with_edits
from engine.recipe.text.source import parse_source


def edited(text: str, *changes: tuple[KeyPath, str, str]) -> str:
    source = parse_source(text.encode(), Path("recipe.yaml"))
    settings = tuple(Edit(at=at, value=value, below=below) for at, value, below in changes)
    return with_edits(text, source, settings)


MODEL: KeyPath = ("base_model", "sha256")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "base_model:\n  path: m  # c\n  x: 1\n",
            "base_model:\n  path: m  # c\n  sha256: abc\n  x: 1\n",
        ),
        ("base_model:\n    path: m", "base_model:\n    path: m\n    sha256: abc"),
        ("base_model: {path: m}\n", "base_model: {path: m, sha256: abc}\n"),
        ("base_model: {path: m, x: 1}\n", "base_model: {path: m, sha256: abc, x: 1}\n"),
        (
            'base_model:\n  path: m\n  sha256: "old" # c\n',
            "base_model:\n  path: m\n  sha256: abc # c\n",
        ),
        ("base_model: {\n  path: 'm',\n}\n", "base_model: {\n  path: 'm', sha256: abc,\n}\n"),
        ("base_model:\r\n  path: m\r\n", "base_model:\r\n  path: m\r\n  sha256: abc\r\n"),
        ("{base_model: {path: m}}\n", "{base_model: {path: m, sha256: abc}}\n"),
    ],
)
def test_a_key_is_set_in_any_style(before: str, after: str) -> None:
    assert edited(before, (MODEL, "abc", "path")) == after


def test_several_items_are_edited_at_once() -> None:
    text = "data:\n  sources:\n  - path: a\n  - {path: b}\n"

    new = edited(
        text,
        (("data", "sources", 0, "sha256"), "1a", "path"),
        (("data", "sources", 1, "sha256"), "2b", "path"),
    )

    assert new == "data:\n  sources:\n  - path: a\n    sha256: 1a\n  - {path: b, sha256: 2b}\n"


def test_a_digest_of_digits_alone_is_quoted() -> None:
    assert edited("base_model: {path: m}\n", (MODEL, "12", "path")) == (
        'base_model: {path: m, sha256: "12"}\n'
    )


def test_a_value_over_several_lines_is_left_alone() -> None:
    with pytest.raises(RecipeError, match="R127"):
        edited("base_model:\n  path: >-\n    m\n", (MODEL, "abc", "path"))
