"""`recipe fmt`: it says the same, keeps every comment where it belongs, and is done after one time."""

import textwrap
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError, RecipeError
from engine.recipe import dump_resolved, load_recipe
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.layout_edit import Edit, with_edits
from engine.recipe.text.layout_format import formatted
from engine.recipe.text.source import parse_source
from engine.recipe.validation.schema import recipes_dir
from support.examples import examples
from support.messy_yaml import SCALARS, WORDS, Messy
from support.paths import EXAMPLES

SHIPPED = sorted(recipes_dir().glob("*.yaml"))
VALID = sorted((EXAMPLES / "valid").glob("*.yaml"))
FILE = Path("recipe.yaml")


def fmt(text: str) -> str:
    return formatted(text, parse_source(text.encode(), FILE))


def block(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


NAMES = st.sampled_from(["negative", "0", "f1.bug", "Zebra", "a b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
RECIPES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "splits": st.dictionaries(
            st.sampled_from(["seed", "by", "holdout", "train"]), VALUES, max_size=4
        ),
        "name": WORDS,
        "unknown": VALUES,
        "data": st.fixed_dictionaries(
            {},
            optional={
                "label": st.dictionaries(
                    st.sampled_from(["bins", "relabel", "column"]), VALUES, max_size=3
                ),
                "sources": st.lists(
                    st.dictionaries(
                        st.sampled_from(["weight", "path", "format"]), VALUES, max_size=3
                    ),
                    max_size=3,
                ),
            },
        ),
        "task": st.dictionaries(st.sampled_from(["schema", "labels", "kind"]), VALUES, max_size=3),
        "recipe": WORDS,
    },
)


def test_a_blank_line_after_the_first_comment_of_an_item_leaves_the_dash_beside_its_key() -> None:
    text = block("""
        data:
          sources:
            - weight: 1
              # where it stands

              path: a.csv
        """)

    assert fmt(text) == block("""
        data:
          sources:
            # where it stands

            - path: a.csv
              weight: 1
        """)
    assert fmt(fmt(text)) == fmt(text)


@settings(max_examples=examples(400), deadline=None)
@given(seed=st.integers(0, 2**32), value=RECIPES.filter(bool))
def test_any_recipe_says_the_same_keeps_its_comments_and_is_done(seed: int, value: Any) -> None:
    messy = Messy(Random(seed))
    text = messy.text(value)
    before = parse_source(text.encode(), FILE)
    assume(
        before.value == value
    )  # a comment that is indented like a text before it is part of that

    after = formatted(text, before)

    again = parse_source(after.encode(), FILE)
    assert (before.problems, again.problems) == ((), ())
    assert again.value == value
    assert [comment for comment in messy.comments if after.count(comment) != 1] == []
    assert fmt(after) == after


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_as_fmt_writes_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert fmt(text) == text


@pytest.mark.sampled(4)
@pytest.mark.parametrize("path", [*SHIPPED, *VALID], ids=lambda path: path.stem)
def test_the_resolved_recipe_stays_the_same(path: Path) -> None:
    def read(file: Path) -> bytes:
        return fmt(file.read_text(encoding="utf-8")).encode()

    assert dump_resolved(load_recipe(path, read=read)[0]) == dump_resolved(load_recipe(path)[0])


def test_a_comment_travels_with_its_key() -> None:
    text = block("""
        name: x
        # why this rank
        method: {rank: 8, kind: lora}  # small
        recipe: v1
    """)

    assert fmt(text) == block("""
        recipe: v1
        name: x
        # why this rank
        method:                        # small
          kind: lora
          rank: 8
    """)


def test_the_head_of_a_file_stays_at_its_head() -> None:
    text = "# yaml-language-server: $schema=x\n# About.\nname: x\nrecipe: v1\n"

    assert fmt(text) == "# yaml-language-server: $schema=x\n# About.\nrecipe: v1\nname: x\n"


def test_a_comment_at_the_end_of_a_block_stays_in_it() -> None:
    text = block("""
        splits:
          train: 4
          # seed: 8
        # the data
        data:
          sources: []
    """)

    assert fmt(text) == block("""
        # the data
        data:
          sources: []
        splits:
          train: 4
          # seed: 8
    """)


def test_one_fact_stays_on_its_line_and_two_do_not() -> None:
    text = "acceptance: {metrics: {macro_f1: {min: 0.80}, f1.a: {min: 0.7, max: 0.9}}}\n"

    assert fmt(text) == block("""
        acceptance:
          metrics:
            macro_f1: {min: 0.80}
            f1.a:
              min: 0.7
              max: 0.9
    """)


def test_a_list_too_long_for_its_line_becomes_a_line_each() -> None:
    names = [f"label-number-{number}" for number in range(9)]
    text = f"task:\n  labels: [{', '.join(names)}]\n"

    assert fmt(text) == "task:\n  labels:\n" + "".join(f"    - {name}\n" for name in names)


def test_keys_that_the_user_names_keep_their_order() -> None:
    text = "data:\n  label:\n    relabel:\n      z: b\n      a: c\n"

    assert fmt(text) == text


def test_the_schema_of_an_answer_is_left_in_its_order() -> None:
    text = "task:\n  schema:\n    type: object\n    required: [a]\n    properties: {}\n"

    assert fmt(text) == text


def test_texts_keep_their_lines() -> None:
    text = block("""
        task:
            instruction: |+
              One.

                Two.

            system: "in two
                 lines"
    """)

    assert fmt(text) == block("""
        task:
          instruction: |+
            One.

              Two.

          system: "in two
            lines"
    """)


def test_several_blank_lines_become_one() -> None:
    assert fmt("\n\nrecipe: v1\n\n\n\nname: x\n\n\n") == "recipe: v1\n\nname: x\n"


def test_line_ends_of_a_file_are_kept() -> None:
    assert fmt("name: x\r\nrecipe: v1\r\n") == "recipe: v1\r\nname: x\r\n"


def test_what_would_change_the_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.recipe.text.layout_format._file", lambda _: ["recipe: v2"])

    with pytest.raises(EngineError, match="would change what it says"):
        fmt("recipe: v1\n")


# Edit keys in a recipe's text: one word or one line changes, whatever the style around it.
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
