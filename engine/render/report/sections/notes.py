"""What stands beside the numbers: warnings, waivers, what is reused or sampled."""

from __future__ import annotations

from engine.evidence import Report
from engine.render import blocks
from engine.render.report.sections import report_section


@report_section("notes", at=0)
def notes(report: Report) -> blocks.Section | None:
    """Nothing where there are none."""
    items: list[blocks.Cell] = [
        (blocks.Strong("Warning"), " ", blocks.Prose(text)) for text in report.warnings
    ]
    items += [
        (blocks.Strong("Waived"), " ", blocks.Code(item.what), ". ", item.why)
        for item in report.waivers
    ]
    items += [blocks.Prose(text) for text in report.notes]
    waived = (
        f"waived in the recipe: `{item.what}`, because: {item.why}" for item in report.waivers
    )
    if not items:
        return None
    listed = blocks.Bullets(tuple(items))
    return blocks.Section(title="Notes", blocks=(listed,), closing=tuple(waived))
