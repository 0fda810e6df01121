"""A review of two versions of a recipe: on the terminal, as Markdown for a pull request, as JSON."""

from __future__ import annotations

from engine.render.review.comment import comment_json, comment_markdown, failure_markdown
from engine.render.review.json import review_json
from engine.render.review.markdown import review_markdown
from engine.render.review.text import review_text

__all__ = [
    "comment_json",
    "comment_markdown",
    "failure_markdown",
    "review_json",
    "review_markdown",
    "review_text",
]
