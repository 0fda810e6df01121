"""Texts that were cut, that hold other rows, or whose white space is their label; and sound ones."""

import pytest

from engine.data.checks.all_rows import cut_at, spaced, swallowed, telling_words

WORDS = "the river rises in the hills north of the town and flows south for forty miles " * 8
LABELS = ("good", "bad")


def texts(count: int, most: int) -> list[str]:
    """Texts of all lengths, cut at one."""
    return [WORDS[number : number + 30 + 7 * number][:most] for number in range(count)]


def test_texts_that_end_where_a_column_was_full_were_cut() -> None:
    count, length = cut_at(texts(60, 255)) or (0, 0)

    assert (count > 20, length) == (True, 255)


@pytest.mark.parametrize(
    "sound",
    [
        texts(30, 999),
        ["A0001", "B0002"] * 50,
        [WORDS[:100]] * 50,
        [one if len(one) < 255 else f"{one[:254]}." for one in texts(60, 255)],
        [],
    ],
    ids=["of any length", "codes", "all the same", "whole sentences", "none"],
)
def test_others_were_not(sound: list[str]) -> None:
    assert cut_at(sound) is None


def test_a_line_that_ends_with_a_label_is_a_row() -> None:
    holds = 'a film,good\nanother one,bad\n"and a third'

    assert [*swallowed([holds, "one film,\nbad as it was", "not good\nnor bad"], LABELS)] == [holds]


def test_white_space_of_one_label_says_it() -> None:
    rows = [("a ", "good"), ("b", "bad")] * 10
    found = [*zip(*rows, strict=True)]

    assert spaced(*map(list, found)) == "good"
    assert spaced([text.strip() for text in found[0]], [*found[1]]) == ""
    assert spaced(["a "] * 20, [*found[1]]) == ""


def test_a_word_that_nearly_all_texts_of_a_label_hold_says_it() -> None:
    labels = ["good", "bad"] * 20
    narrow = ["routing"] * 9 + [f"other {at % 6}" for at in range(60)]

    assert telling_words([f"{one} Zulu" * (one == "good") for one in labels], labels) == {
        "good": "good"
    }
    assert telling_words(["film", "show"] * 20, labels) == {"good": "film", "bad": "show"}
    assert telling_words([one.split()[0] for one in narrow], narrow) == {}
