"""The card of an exported baseline: what whoever passes the folder on has to know."""

from __future__ import annotations

from engine.render.baseline_card import BaselineCard, baseline_card
from support.reports import read_report


def card(**changes: object) -> str:
    report = read_report("accepted")
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
