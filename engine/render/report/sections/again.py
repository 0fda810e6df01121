"""How the run is repeated."""

from __future__ import annotations

from engine.evidence import Report
from engine.render import blocks
from engine.render.report.sections import report_section


@report_section("again", at=4)
def again(report: Report) -> blocks.Section | None:
    """Nothing in reports of earlier versions, which do not hold the command."""
    lead = "With the same rows and versions; the run is compared with the lock of the recipe."
    line = blocks.Paragraph(blocks.Code(report.command), "command-line")
    found = blocks.Section(title="Run it again", is_open=True, lead=lead, blocks=(line,))
    return found if report.command else None
