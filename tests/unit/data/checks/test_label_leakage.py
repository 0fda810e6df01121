"""Texts that give their own label away, over all rows."""

import pytest

from engine.data.checks.model_checks import find_label_marks, finder

LABELS = ("ham", "spam", "card_arrival")


def rows(mark: str, marked: int = 10, plain: int = 90) -> list[tuple[str, str]]:
    spam = [(mark.format(f"win prize {number}"), "spam") for number in range(marked)]
    rest = [(f"win prize {number} now", "spam") for number in range(plain)]
    return [*spam, *rest, *((f"see you at {number}", "ham") for number in range(100))]


@pytest.mark.parametrize(
    ("written", "mark"),
    [
        ("[SPAM] {}", "[spam]"),
        ("{} <spam>", "<spam>"),
        ("{} label: spam", "label: spam"),
        ("{} Category = spam ok", "category = spam"),
        ("__label__spam {}", "__label__spam"),
        ("{} #spam", "#spam"),
    ],
)
def test_a_mark_of_one_label_gives_it_away(written: str, mark: str) -> None:
    (found,) = find_label_marks(rows(written), LABELS)

    assert (found.label, found.mark, found.rows) == ("spam", mark, 10)
    assert (found.share, found.precision) == (0.1, 1.0)
    assert found.message() == (
        f"`{mark}` stands in 10 rows of `spam` (10.0% of them);"
        " 100.0% of the rows that hold it have that label"
    )


def test_a_label_written_as_in_the_data_gives_itself_away() -> None:
    texts = [(f"where is it {number} card_arrival ok", "card_arrival") for number in range(10)]

    assert [one.mark for one in find_label_marks(texts, LABELS)] == ["card_arrival"]


def test_a_joined_column_is_found_by_its_place() -> None:
    assert [one.mark for one in find_label_marks(rows("{} spam", 80, 20), LABELS)] == [
        "spam as its last word"
    ]


@pytest.mark.parametrize(
    "texts",
    [
        rows("this {} is spam I think"),  # a word among others
        rows("{} spam"),  # at the end, but in few rows
        rows("[spam] {}", marked=4),  # too few
        rows("[spam] {}", marked=5, plain=200),  # under 5 %
        [*rows("[spam] {}"), *[("not [spam] at all", "ham")] * 3],  # not only there
        [("spam", "spam")] * 50,  # the text is the label, and nothing beside it
    ],
)
def test_a_word_that_stands_there_rightly_gives_nothing_away(texts: list[tuple[str, str]]) -> None:
    assert find_label_marks(texts, LABELS) == []


def test_rows_of_several_labels_are_read() -> None:
    texts = [(f"{number} #spam", ("spam",)) for number in range(10)]

    assert [one.label for one in find_label_marks(texts, LABELS)] == ["spam"]


def test_the_rows_that_hold_a_mark_are_found_again() -> None:
    found = find_label_marks(rows("[SPAM] {}"), LABELS)
    look = finder(found)

    assert look("[spam] again") == found[0]
    assert look("spam again") is None


@pytest.mark.parametrize("form", ["फ़िल्म {} थी [{}]", "{} | फ़िल्म देखी"])
def test_a_name_ends_with_its_last_vowel_sign(form: str) -> None:
    """A name of Hindi, cut off before its vowel sign, stood in no brackets."""
    labels = ("अच्छी", "बुरी")
    rows = [(form.format(number, label) if form.count("{}") > 1 else form.format(label), label)
            for number in range(10) for label in labels]  # fmt: skip

    assert {one.label for one in find_label_marks(rows, labels)} == {*labels}
    assert all(one.label in one.mark for one in find_label_marks(rows, labels))
