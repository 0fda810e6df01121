"""Every code a problem can carry, with its page: what it means, why the rule stands, what to do.

One module per area holds the pages; this one merges them. A code is never reused and never changes
its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

AREAS = (
    "recipe",
    "kinds",
    "data",
    "splits",
    "rowchecks",
    "rendering",
    "lock",
    "sources",
    "trust",
    "resample",
    "sweep",
    "probes",
    "backend",
    "gate",
    "baselines",
    "export",
    "environment",
    "review",
    "estimate",
)
"""In the order of their letters' ranges: R, D, B, G, X, E, I and W."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The page of one code."""

    title: str
    """The rule in one line, lower-case, no full stop."""
    why: str
    """What goes wrong without the rule, in one or two sentences."""
    fix: str
    """What to edit or run; may hold a short example over several lines."""


def all_codes() -> dict[str, Code]:
    """Return the pages of every area, sorted by code; a code claimed by two areas is a bug."""
    merged: dict[str, Code] = {}
    for area in AREAS:
        pages: dict[str, Code] = import_module(f"{__name__}.{area}").CODES
        twice = merged.keys() & pages.keys()
        if twice:
            raise KeyError(f"registered twice: {', '.join(sorted(twice))}")
        merged |= pages
    return dict(sorted(merged.items()))


def code_page(code: str) -> Code | None:
    """Return the page of `code` (any case), or None when there is no such code."""
    return all_codes().get(code.upper())
