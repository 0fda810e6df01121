"""The format of a source: apart from the readers, so that a plan knows it without them."""

from __future__ import annotations

from engine.recipe.model import HubRef, Source
from engine.recipe.text.paths import format_of


def source_format(source: Source, name: str) -> str | None:
    """Return the format of a source, of which the file has that name; None where it tells none."""
    # Rows of a hub split were written as Parquet when they were fetched, whatever the repository
    # holds.
    is_hub_split = isinstance(source.ref, HubRef) and not source.hub_file
    return "parquet" if is_hub_split else format_of(name, source.format)
