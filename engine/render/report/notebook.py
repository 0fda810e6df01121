"""A report in a notebook: its page in a frame of its own, so that its style and policy stay the page's."""

from __future__ import annotations

from engine.evidence import Report
from engine.render.html.markup import tag
from engine.render.report.page import render_html

HEIGHT = "720"
"""Pixels; the frame scrolls."""


def framed(report: Report) -> str:
    """Return the page in an iframe: within `srcdoc` its Content-Security-Policy holds, and `sandbox` allows nothing."""
    frame = tag(
        "iframe",
        srcdoc=render_html(report),
        sandbox="",
        referrerpolicy="no-referrer",
        title=f"Evidence report of {report.recipe_name}",
        width="100%",
        height=HEIGHT,
        frameborder="0",
    )
    return str(frame)
