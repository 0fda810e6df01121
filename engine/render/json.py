"""The report as JSON and back; `schemas/report.v1.schema.json` describes it."""

from __future__ import annotations

import json

from engine.evidence import Report
from engine.files.reading import parse_json
from engine.values import from_json, to_json


def render_json(report: Report) -> str:
    """The whole report, indented and ended by a line break; NaN is refused."""
    return json.dumps(to_json(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(text: str) -> Report:
    """A report read back from `render_json`, equal to the one that was written.

    Raises:
        ValueError: it is no JSON, nested too deep, or no report.

    """
    return from_json(Report, parse_json(text))
