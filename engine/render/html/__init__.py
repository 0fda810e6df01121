"""The report as one self-contained HTML page."""

from __future__ import annotations

from engine.render.html.page import render_html

__all__ = ["render_html"]
