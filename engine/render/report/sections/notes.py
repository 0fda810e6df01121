"""What stands beside the numbers: warnings, waivers, what is reused or sampled."""

from __future__ import annotations

from engine.evidence import Report
from engine.render.blocks import Bullets, Cell, Code, Prose, Section, Strong
from engine.render.report.sections import report_section


@report_section("notes", at=0)
def notes(report: Report) -> Section | None:
    """Nothing where there are none."""
    items: list[Cell] = [(Strong("Warning"), " ", Prose(text)) for text in report.warnings]
    items += [(Strong("Waived"), " ", Code(item.what), ". ", item.why) for item in report.waivers]
    items += [Prose(text) for text in report.notes]
    waived = (
        f"waived in the recipe: `{item.what}`, because: {item.why}" for item in report.waivers
    )
    return (
        Section(title="Notes", blocks=(Bullets(tuple(items)),), closing=tuple(waived))
        if items
        else None
    )
