"""The table of limits names constants that are there, and codes that have a page."""

import re

import pytest
from limits import LIMITS, _value, rows

from engine.codes import all_codes
from engine.sources.archive import StreamLimits


def test_a_limit_is_what_the_code_has() -> None:
    shown = {what: most for what, most, _ in rows()}

    assert shown["what a packed file unpacks to"] == f"{StreamLimits().bytes >> 30} GiB"


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: str(limit[1]))
def test_every_constant_is_a_number_and_every_code_has_a_page(
    limit: tuple[str, str, str, str],
) -> None:
    _, place, _, codes = limit

    assert _value(place) > 0
    assert set(re.findall(r"\w+", codes)) <= set(all_codes())
