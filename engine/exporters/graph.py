"""What the formats `onnx` and `openvino` share: a folder of their name, with all that a program needs to ask the graph.

`verify` runs each graph over the whole holdout, with the runtime that its users have.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.environment import version_of
from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.exporters.base import ExportSpec, describe, write_task
from engine.runtime.graph.convert import missing_tools, write_graph


def check_graph(form: str, find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    """Return X814 when what writes the graph, or runs it, is not there."""
    problem = missing_tools(form, find_version)
    return () if problem is None else (problem,)


def export_graph(
    form: str, model_dir: Path, spec: ExportSpec, workdir: Path
) -> tuple[ExportedFile, ...]:
    """Write the folder of a format. Errors: those of `write_graph`."""
    folder = workdir / form
    folder.mkdir()
    write_graph(model_dir, folder, form, precision=spec.precision, find_version=version_of)
    write_task(model_dir, spec, folder)
    return tuple(describe(path, root=workdir, form=form) for path in sorted(folder.iterdir()))
