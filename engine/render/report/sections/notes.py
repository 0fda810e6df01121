"""What stands beside the numbers: warnings, waivers, what is reused or sampled."""

from __future__ import annotations

from engine.evidence import Report
from engine.render import blocks
from engine.render.report.sections import report_section


@report_section("notes", at=8)
def notes(report: Report) -> blocks.Section | None:
    """Nothing where there are none."""
    warning, waived = blocks.Strong("Warning"), blocks.Strong("Waived")
    items: list[blocks.Cell] = [(warning, " ", blocks.Prose(text)) for text in report.warnings]
    items += [(waived, " ", blocks.Code(one.what), ". ", one.why) for one in report.waivers]
    items += map(blocks.Prose, report.notes)
    lines = (f"waived in the recipe: `{one.what}`, because: {one.why}" for one in report.waivers)
    if not items:
        return None
    listed = blocks.Bullets(tuple(items))
    is_open = bool(report.warnings or report.waivers)
    return blocks.Section(title="Notes", is_open=is_open, blocks=(listed,), closing=tuple(lines))
