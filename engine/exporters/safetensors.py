"""The merged model as transformers reads it. It already stands in the merge artifact; here it is listed."""

from collections.abc import Callable
from pathlib import Path

from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.exporters import ExportSpec, describe
from engine.progress import Progress

NAME = "safetensors"
REQUIRES: tuple[str, ...] = ()


def check(find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    return ()


def export(
    model_dir: Path, spec: ExportSpec, workdir: Path, progress: Progress
) -> tuple[ExportedFile, ...]:
    """Return the files of the merged model, named below its folder; nothing is copied."""
    files = sorted(path for path in model_dir.rglob("*") if path.is_file())
    return tuple(describe(path, root=model_dir.parent, form=NAME) for path in files)
