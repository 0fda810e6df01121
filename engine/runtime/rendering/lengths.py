"""How long rows are, in the tokens of the model that will read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.runtime.rendering.render_stats import RenderStats
from engine.runtime.rendering.renderer import RenderableRow, Renderer
from engine.runtime.rendering.segments import UnwritableError


def token_lengths(renderer: Renderer, rows: Iterable[RenderableRow]) -> Sequence[int]:
    """Return the tokens of every row uncut, documents whole; rows that cannot be written are left out."""
    lengths = []
    for row in rows:
        try:
            lengths.append(sum(one.tokens for one in renderer.render(row)))
        except UnwritableError:
            continue
    return lengths


def training_stats(renderer: Renderer, rows: Iterable[RenderableRow]) -> RenderStats:
    """Return what rendering these rows for training comes to; the rows themselves are not kept."""
    stats = RenderStats()
    for _ in renderer.rendered(rows, stats):
        pass
    return stats
