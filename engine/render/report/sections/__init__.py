"""The sections of a report: a function each, in one of the modules here."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from engine.evidence import Report
from engine.render.blocks import Block, Section

Parts = Iterator[Block | tuple[str, Any]]
"""What a section shows, and (place, sentence): `lead`, which is appended, `card` and `closing`, a line each, and
`title`, `drawing_lead` and `is_open`, which replace what `report_section` named. No part: no section."""

_BUILDERS: dict[str, tuple[int, Callable[[Report], Parts], dict[str, Any]]] = {}


def report_section(
    anchor: str, title: str, *, at: int, lead: str = "", is_open: bool = False
) -> Callable[[Callable[[Report], Parts]], Callable[[Report], Parts]]:
    """Register what builds a section: its anchor on the page, and its place in the order of `at`."""

    def register(build: Callable[[Report], Parts]) -> Callable[[Report], Parts]:
        _BUILDERS[anchor] = at, build, {"title": title, "lead": lead, "is_open": is_open}
        return build

    return register


def report_sections(report: Report) -> dict[str, Section]:
    """The sections that the report has something to say in, by anchor and in order."""
    # Not at the top: these modules import this one to register themselves.
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    found: dict[str, Section] = {}
    for anchor, (_, build, fields) in sorted(_BUILDERS.items(), key=lambda item: item[1][0]):
        shown, card, closing = list[Block](), list[str](), list[str]()
        parts, named = list(build(report)), dict(fields)
        for part in parts:
            if not isinstance(part, tuple):
                shown.append(part)
            elif part[0] in ("card", "closing"):
                (card if part[0] == "card" else closing).append(part[1])
            else:
                named[part[0]] = named["lead"] + part[1] if part[0] == "lead" else part[1]
        if parts:
            found[anchor] = Section(
                **named, blocks=tuple(shown), card=tuple(card), closing=tuple(closing)
            )
    return found
