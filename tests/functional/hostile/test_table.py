"""The table of hostile cases ends as it says, and the page of the docs shows what it says."""

import os
from pathlib import Path

import pytest

from engine.cli.verbs import VERBS
from support import hostile_texts, hostile_trust
from support.hostile_table import PAGE, Case, all_cases, listed, sampled

CASES = all_cases()
SAMPLE = sampled(CASES)
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def ended(case: Case, folder: Path) -> str:
    if "chown" in case.tried and not IS_ROOT:
        pytest.skip("only root gives a folder to another user")
    return case.got(folder)


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.name)
def test_a_hostile_case_ends_as_expected(case: Case, tmp_path: Path) -> None:
    assert ended(case, tmp_path) == case.expected


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "case", [one for one in CASES if one not in SAMPLE], ids=lambda case: case.name
)
def test_so_does_every_other(case: Case, tmp_path: Path) -> None:
    assert ended(case, tmp_path) == case.expected


def test_every_verb_shows_hostile_texts_and_is_known_to_ask_for_consent_or_not() -> None:
    """A new verb: a line in `SHOWING`, one in `VERBS` or `WITHOUT`, then `uv run just hostile`."""
    assert set() == hostile_texts.SHOWING.keys() ^ VERBS.keys()
    assert set() == (hostile_trust.VERBS.keys() | hostile_trust.WITHOUT.keys()) ^ VERBS.keys()


def test_the_page_shows_every_case_as_expected() -> None:
    """`uv run just hostile` renews it."""
    shown = listed(PAGE.read_text(encoding="utf-8"))

    assert shown == {case.name: (case.expected, case.expected) for case in CASES}
