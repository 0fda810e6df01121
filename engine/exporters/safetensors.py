"""The merged model as transformers reads it. It already stands in the merge artifact; here it is listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.exporters.base import ExportSpec, describe
from engine.progress import Progress

NAME = "safetensors"
REQUIRES: tuple[str, ...] = ()


def check(find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:  # noqa: ARG001 - the contract's
    """Return no problem: nothing is needed."""
    return ()


def export(
    model_dir: Path,
    spec: ExportSpec,  # noqa: ARG001 - the contract's
    workdir: Path,  # noqa: ARG001 - the contract's
    progress: Progress,  # noqa: ARG001 - the contract's
) -> tuple[ExportedFile, ...]:
    """Return the files of the merged model, named below its folder; nothing is copied."""
    files = sorted(path for path in model_dir.rglob("*") if path.is_file())
    return tuple(describe(path, root=model_dir.parent, form=NAME) for path in files)
