"""The colour of what was forgotten is that of its check, which the interval's end may decide."""

import pytest

from engine.evidence import Report, Status
from engine.render import blocks
from engine.render.report.sections import report_sections
from engine.values import replace
from support import reports


def tones(report: Report) -> list[str]:
    section = report_sections(report)["forgetting"]
    tables = [block for block in section.blocks if isinstance(block, blocks.Table)]
    cells = [cell for table in tables for row in table.rows for cell in row.cells]
    return [cell.tone for cell in cells if isinstance(cell, blocks.Track)]


@pytest.mark.parametrize("status", [Status.PASS, Status.INCONCLUSIVE, Status.FAIL])
def test_all_probes_have_the_tone_of_their_check(status: Status) -> None:
    report = reports.refused_by_forgetting()
    assert report.gate is not None
    checks = [
        replace(check, status=status) if check.kind == "forgetting" else check
        for check in report.gate.checks
    ]
    judged = replace(report, gate=replace(report.gate, checks=tuple(checks)))

    *single, whole = tones(judged)

    assert whole == status.value
    assert set(single) <= {"plain"}
