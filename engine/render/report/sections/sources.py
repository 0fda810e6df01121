"""The recipe as written and with every default, and the config that was compiled from it."""

from __future__ import annotations

from engine.evidence import Report
from engine.render.blocks import Absent, Block, Listing, Section
from engine.render.labels import why_absent
from engine.render.report.sections import report_section


@report_section("sources", at=160)
def sources(report: Report) -> Section:
    """The texts whole."""
    config: Block = Absent("Backend config " + why_absent(report, "compile"))
    if report.backend_config:
        config = Listing(title="Backend config, compiled", text=report.backend_config)
    written = Listing(title="Recipe, as written", text=report.recipe_text, is_open=True)
    whole = Listing(title="Recipe, every default written out", text=report.resolved_recipe)
    return Section(title="Recipe and config", blocks=(written, whole, config))
