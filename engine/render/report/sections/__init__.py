"""The sections of a report, a module each: a new one is a new module here and nothing else."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from engine.evidence import Report
from engine.render.blocks import Section

Build = Callable[[Report], Section | None]

_BUILDERS: dict[str, tuple[int, Build]] = {}


def report_section(anchor: str, *, at: int) -> Callable[[Build], Build]:
    """Register what builds a section: its anchor on the page, and its place in the order of `at`."""

    def register(build: Build) -> Build:
        _BUILDERS[anchor] = (at, build)
        return build

    return register


def report_sections(report: Report) -> dict[str, Section]:
    """The sections that the report has something to say in, by anchor and in order."""
    # Not at the top: these modules import this one to register themselves.
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    ordered = sorted(_BUILDERS.items(), key=lambda item: item[1][0])
    built = ((anchor, build(report)) for anchor, (_, build) in ordered)
    return {anchor: section for anchor, section in built if section is not None}
