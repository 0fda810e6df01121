"""The report as Markdown, for pull requests and wikis; and the escaping every Markdown text needs."""

from __future__ import annotations

from engine.render.markdown.markup import block, checks_table, code, listed, plain, table
from engine.render.markdown.page import render_markdown

__all__ = ["block", "checks_table", "code", "listed", "plain", "render_markdown", "table"]
