"""`onnx/model.onnx` for ONNX Runtime, with its weights, tokenizer, settings and `task.json` beside it."""

from collections.abc import Callable
from pathlib import Path

from engine.environment import version_of
from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.exporters import ExportSpec, describe, write_task
from engine.progress import Progress
from engine.recipe.model import ONNX
from engine.runtime.graph.client import missing_tools, write_graph

NAME = ONNX
REQUIRES: tuple[str, ...] = ()


def check(find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    """Return X814 when what writes the graph, or runs it, is not there."""
    problem = missing_tools(find_version)
    return () if problem is None else (problem,)


def export(
    model_dir: Path, spec: ExportSpec, workdir: Path, progress: Progress
) -> tuple[ExportedFile, ...]:
    """Write the folder `onnx`. Errors: those of `write_graph`."""
    folder = workdir / NAME
    folder.mkdir()
    write_graph(model_dir, folder, precision=spec.precision, find_version=version_of)
    write_task(model_dir, spec, folder)
    return tuple(describe(path, root=workdir, form=NAME) for path in sorted(folder.iterdir()))
