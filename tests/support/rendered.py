"""Rows rendered as the product `rendered` holds them, and kept in memory."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.errors import DataError
from engine.recipe.model import Task
from engine.runtime.rendering.chat import Chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.render_stats import RenderStats
from engine.runtime.rendering.renderer import RenderableRow, RenderedRow, Renderer


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """The rows of one split, and what happened to those that did not fit."""

    rows: tuple[RenderedRow, ...]
    dropped: tuple[str, ...]
    """Origins of rows left out."""
    truncated: tuple[str, ...]
    """Origins of rows whose text was cut at its end."""


def render_rows(
    rows: Iterable[RenderableRow], *, task: Task, chat: Chat, limits: LengthLimits
) -> Rendering:
    """Return every row rendered, in order; those that do not fit as `limits` say. DataError."""
    renderer, stats = Renderer(chat, task, limits), RenderStats()
    done = tuple(renderer.rendered(rows, stats))
    if problems := [*stats.problems(limits)]:
        raise DataError(problems)
    return Rendering(rows=done, dropped=tuple(stats.dropped), truncated=tuple(stats.truncated))
