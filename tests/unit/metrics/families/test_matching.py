from decimal import Decimal

import pytest

from engine.metrics.families.fields import answer_in, normalised, number_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat,\n sat.", "cat sat"),
        ("an apple a day", "apple day"),
        ("theatre", "theatre"),
        ("Straße", "strasse"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}bc", "abc"),
        ("U.S.A.", "usa"),
        ("A", "a"),
        ("the", "the"),
        ("?!", "?!"),
        ("\N{LEFT DOUBLE QUOTATION MARK}x\N{RIGHT DOUBLE QUOTATION MARK}", "x"),
        ("  ", ""),
    ],
)
def test_texts_are_normalised_as_squad_does(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"#### (\S+)", "8"),
        (r"#### \S+", "#### 8"),
        (r"answer: (\w+)|#### (\S+)", None),
        (r"=(.*)", None),
    ],
)
def test_the_last_match_of_a_pattern_is_the_answer(pattern: str, expected: str | None) -> None:
    assert answer_in("5 #### 5\nno, 8 #### 8", pattern) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it costs $1,234.50 in all", "1234.5"),
        ("first 3, then 4.", "4"),
        ("50 %", "50"),
        ("-\N{EURO SIGN}7", "-7"),
        ("\N{MINUS SIGN}7", "-7"),
        ("minus - 7", "-7"),
        ("10-15", "15"),
        ("US$5", "5"),
        ("1,2,3", "3"),
        ("12,3456", "3456"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("\N{FULLWIDTH DIGIT FOUR}\N{FULLWIDTH DIGIT TWO}", "42"),
        ("2.50", "2.5"),
        ("none at all", None),
        ("", None),
    ],
)
def test_the_last_number_of_a_text_is_read(text: str, expected: str | None) -> None:
    assert number_in(text) == (None if expected is None else Decimal(expected))


def test_a_pattern_says_where_the_number_is() -> None:
    assert number_in("#### 1,000 (of 5)", r"#### (-?[0-9.,]+)") == Decimal(1000)
    assert number_in("no marks, 5", r"#### (-?[0-9.,]+)") == Decimal(5)
