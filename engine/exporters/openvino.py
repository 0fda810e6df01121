"""`openvino/openvino_model.xml` for OpenVINO, with its weights, tokenizer, settings and `task.json` beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.exporters.base import ExportSpec
from engine.exporters.graph import check_graph, export_graph
from engine.progress import Progress
from engine.runtime.graph.files import OPENVINO

NAME = OPENVINO
REQUIRES: tuple[str, ...] = ()


def check(find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    """Return X814 when what writes the graph, or runs it, is not there."""
    return check_graph(NAME, find_version)


def export(
    model_dir: Path, spec: ExportSpec, workdir: Path, progress: Progress
) -> tuple[ExportedFile, ...]:
    """Write the folder `openvino`. Errors: those of `write_graph`."""
    return export_graph(NAME, model_dir, spec, workdir)
