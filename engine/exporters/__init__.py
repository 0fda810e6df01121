"""What leaves: one module a format, named by string and imported on use."""

from __future__ import annotations

import importlib
from typing import cast

from engine.environment import version_of
from engine.errors import Problem
from engine.exporters.base import Exporter

EXPORTERS: dict[str, str] = {
    "safetensors": "engine.exporters.safetensors",
    "gguf": "engine.exporters.gguf",
    "ollama": "engine.exporters.ollama",
    "onnx": "engine.exporters.onnx",
}
"""In the order they run: a later one may refer to files of an earlier one it `REQUIRES`."""


def load_exporter(name: str) -> Exporter:
    """Return the exporter of a format; KeyError for a name that is not in the table."""
    return cast("Exporter", importlib.import_module(EXPORTERS[name]))


def in_order(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return the formats asked for and those they require, in the order they run."""
    wanted = set(formats)
    for name in formats:
        wanted.update(load_exporter(name).REQUIRES)
    return tuple(name for name in EXPORTERS if name in wanted)


def missing_for(formats: tuple[str, ...]) -> tuple[Problem, ...]:
    """Return what is not installed here to export to these formats; ask before anything is spent. Light."""
    return tuple(
        problem for name in in_order(formats) for problem in load_exporter(name).check(version_of)
    )
