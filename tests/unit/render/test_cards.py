"""A challenge on the terminal and as a page: the same table, and names of others that do nothing."""

from collections.abc import Callable

import pytest

from engine.evidence import (
    Challenge,
    ChallengeLine,
    ChallengeOutcome,
    Comparison,
    Interval,
)
from engine.render.challenge import challenge_markdown, challenge_text
from engine.render.markdown import code, plain, table
from engine.render.report.card import BaselineCard, baseline_card
from engine.values import replace
from support.golden import Golden
from support.reports import read_report

LINE = ChallengeLine(
    comparison=Comparison(
        name="zero_shot",
        metric="macro_f1",
        difference=-0.012,
        interval=Interval(low=-0.031, high=0.008, confidence=0.95, method="bootstrap"),
        p_value=0.21,
        p_adjusted=0.21,
        test="paired bootstrap",
        n=300,
    ),
    standing=ChallengeOutcome.UNKNOWN,
    margin=0.02,
    accepted=0.897,
    newcomer=0.885,
    rows=1200,
)
CHALLENGE = Challenge(
    schema="challenge.v1",
    recipe_name="tickets",
    base_model="owner/newer@0123456789ab",
    trained=False,
    candidate="zero_shot",
    standing=ChallengeOutcome.UNKNOWN,
    run="2026-11-24-7f3a91c2",
    accepted="2026-11-24T16:03:46Z",
    holdout="3f1a" * 16,
    rows=300,
    started="2026-11-25T10:00:00Z",
    seconds=12.5,
    lines=(LINE,),
    costs=("269 MB to fetch",),
    notes=("the licence is another one",),
    edit="base_model:\n  hub: owner/newer\n",
)


def test_a_challenge_reads_as_it_should(golden: Golden) -> None:
    text = challenge_text(CHALLENGE, file="tickets.yaml", written="challenges/1.md", width=100)

    golden("render/challenge.txt", text + "\n")
    golden("render/challenge.md", challenge_markdown(CHALLENGE))


def test_a_challenge_fits_a_narrow_terminal() -> None:
    text = challenge_text(CHALLENGE, file="tickets.yaml", written="1.md", width=60)

    assert max(map(len, text.splitlines())) <= 60


def test_hostile_names_of_a_challenge_stay_text() -> None:
    name = "<script>x</script>|\x1b[2J\n# x"
    hostile = replace(CHALLENGE, recipe_name=name, base_model=name, costs=(name,))

    for text in (
        challenge_markdown(hostile),
        challenge_text(hostile, file="a.yaml", written="b", width=100),
    ):
        assert "\x1b" not in text
        assert "\n# x" not in text
    assert "\\<script\\>" in challenge_markdown(hostile)


# The card of an exported baseline: what whoever passes the folder on has to know.
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
