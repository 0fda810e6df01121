"""Where the run was made: machine, versions, folder."""

from __future__ import annotations

from engine.evidence import Report
from engine.render.blocks import Code, Facts, Heading, Section
from engine.render.report.sections import report_section


@report_section("environment", at=170)
def environment(report: Report) -> Section:
    """Names and values."""
    machine = Facts(tuple(report.environment.items()))
    versions = Facts(tuple(report.versions.items()))
    folder, schema = Code(report.run_directory), Code(report.schema)
    run = Facts((("started", report.started), ("folder", folder), ("report schema", schema)))
    titled = (("Machine", machine), ("Versions", versions), ("Run", run))
    parts = tuple(part for title, facts in titled for part in (Heading(title), facts))
    return Section(title="Environment", blocks=parts)
