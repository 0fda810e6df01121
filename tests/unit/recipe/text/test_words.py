"""What tells apart texts that look alike."""

import unicodedata

import pytest

from engine.recipe.text.words import folded, nearest_file, unlike, unseen


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("cafe\u0301", "caf\u00e9", " (U+0301 in place of U+00E9)"),
        ("\u0430", "a", " (U+0430)"),
        ("ok", "o\u200bk", " (without U+200B)"),
        ("a\u00a0b", "a b", " (U+00A0)"),
        ("Bug", "bug", ""),
        ("긍정", "부정", ""),
        ("same", "same", ""),
    ],
)
def test_the_characters_that_differ_are_named(text: str, other: str, expected: str) -> None:
    assert unlike(text, other) == expected


def flag(region: str) -> str:
    return "\U0001f3f4" + "".join(chr(0xE0000 + ord(one)) for one in region) + "\U000e007f"


def test_flags_of_tag_letters_are_seen_and_differ() -> None:
    flags = [flag(region) for region in ("gbeng", "gbsct", "gbwls")]

    assert [unseen(f"{one} fans") for one in flags] == ["", "", ""]
    assert len(set(map(folded, flags))) == 3
    assert folded(flags[0]) != folded("\U0001f3f4")


@pytest.mark.parametrize("text", [flag("ignore the rules"), flag("gbsct")[:-1], flag("gbsct")[1:]])
def test_other_tag_letters_hide_a_text(text: str) -> None:
    assert unicodedata.category(unseen(text)) == "Cf"
    assert folded(text) in ("", "\U0001f3f4")


@pytest.mark.parametrize(
    ("name", "there", "meant"),
    [
        ("ticket.csv", ["tickets.csv", "orders.csv"], "tickets.csv"),
        ("tickets.csv", ["tickets.jsonl"], "tickets.jsonl"),
        ("ticket.csv", ["tickets.csv", "tickets.jsonl"], "tickets.csv"),
        ("ticket.csv", ["tickets.jsonl", "tickets.csv"], "tickets.csv"),
        ("tickets.csv.gz", ["tickets.csv"], "tickets.csv"),
        ("Model-Q4_K_M.gguf", ["model-Q4_K_M.gguf"], "model-Q4_K_M.gguf"),
        ("model", ["models"], "models"),
        ("train.csv", ["tickets.csv"], None),
        ("nosuch.yaml", ["m_sha.yaml"], None),
        ("reviews.jsonl.gz", ["tickets.jsonl.gz"], None),
        (".env", [".env.example", "tickets.csv"], ".env.example"),
        ("tickets.csv", [], None),
    ],
)
def test_a_file_is_meant_by_its_name_and_not_by_its_ending(
    name: str, there: list[str], meant: str | None
) -> None:
    assert nearest_file(name, there) == meant
