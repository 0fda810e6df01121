"""How a file of rows is read: two ways of writing it down may mean the same."""

from __future__ import annotations

import codecs

from engine.recipe.formats import format_of
from engine.recipe.model import HubRef, PathRef, Source

KEYS = ("format", "encoding", "quoting")


def read_as(source: Source) -> tuple[str | None, str, bool]:
    """Return format, encoding and whether double quotes count, with what `auto` means for the file."""
    found = format_of(_name(source), source.format)
    quoted = source.quoting == "double" or (source.quoting == "auto" and found == "csv")
    return found, _encoding(source.encoding), quoted


def _name(source: Source) -> str:
    ref = source.ref
    if isinstance(ref, PathRef):
        return ref.path.name
    return (source.hub_file or "") if isinstance(ref, HubRef) else ref.file


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return name
