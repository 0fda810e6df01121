"""Where the run was made: machine, versions, folder."""

from __future__ import annotations

from engine.evidence import Report
from engine.render.blocks import Code, Facts, Heading, Section
from engine.render.report.sections import report_section


@report_section("environment", at=170)
def environment(report: Report) -> Section:
    """Names and values."""
    return Section(
        title="Environment",
        blocks=(
            Heading("Machine"),
            Facts(tuple(report.environment.items())),
            Heading("Versions"),
            Facts(tuple(report.versions.items())),
            Heading("Run"),
            Facts(
                (
                    ("started", report.started),
                    ("folder", Code(report.run_directory)),
                    ("report schema", Code(report.schema)),
                )
            ),
        ),
    )
