"""Configs of other tools, workbooks and histories end as the table of hostile cases says, each of them at each run."""

from pathlib import Path

import pytest

from support.hostile_others import CASES
from support.hostile_table import Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_other_tools_wrote_ends_as_expected(case: Case, tmp_path: Path) -> None:
    assert case.got(tmp_path) == case.expected
