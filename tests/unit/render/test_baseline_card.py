"""The card of an exported baseline: what whoever passes the folder on has to know."""

from collections.abc import Callable

import pytest

from engine.render.markdown import code, plain, table
from engine.render.report.card import BaselineCard, baseline_card
from engine.values import replace
from support.reports import read_report


def card(**changes: object) -> str:
    report = replace(read_report("accepted"), labels=("buy|sell", "hold"))
    found = {"is_masked": False, "encoder": {}, "has_words": False} | changes
    return baseline_card(
        BaselineCard(
            report=report,
            baseline=report.baselines[0],
            recipe_digest="0" * 64,
            python="3.13.1",
            columns=("text",),
            **found,  # type: ignore[arg-type]
        )
    )


def test_the_encoder_is_named_with_its_licence_as_something_to_look_up() -> None:
    text = card(encoder={"package": "e5-small", "version": "1.0", "sha256": "ab12"})

    assert "made from package `e5-small`, version `1.0`, sha256 `ab12`." in text
    assert "licence" in text
    assert "licence" not in card()


def test_masked_rows_are_named_as_what_the_program_does_not_make() -> None:
    assert "`personal_data: mask`" in card(is_masked=True)
    assert "mask" not in card()


def test_a_bar_in_a_label_is_shown_as_it_is() -> None:
    """Outside of a table a backslash in code is a backslash."""
    assert "`buy|sell`, `hold`" in card()


@pytest.mark.parametrize("write", [code, plain])
@pytest.mark.parametrize("text", ["a|b", "|", "a\\|b", "a\\\\|b", "\\\\\\|"])
def test_no_bar_ends_a_cell(write: Callable[[str], str], text: str) -> None:
    line = table(["name"], [[write(text)]]).splitlines()[-1]
    ends = [at for at, sign in enumerate(line) if sign == "|" and not _is_escaped(line, at)]

    assert ends == [0, len(line) - 1]


def _is_escaped(line: str, at: int) -> bool:
    return (at - len(line[:at].rstrip("\\"))) % 2 == 1
