"""What the formats `onnx` and `openvino` share: a folder of their name, with all that a program needs to ask the graph.

`verify` runs each graph over the whole holdout, with the runtime that its users have.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.environment import version_of
from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.exporters.base import ExportSpec, describe
from engine.runtime.graph.convert import missing_tools, write_graph


def check_graph(form: str, find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    """Return X814 when what writes the graph, or runs it, is not there."""
    problem = missing_tools(form, find_version)
    return () if problem is None else (problem,)


def export_graph(
    form: str, model_dir: Path, spec: ExportSpec, workdir: Path
) -> tuple[ExportedFile, ...]:
    """Write the folder of a format. Errors: those of `write_graph`."""
    from engine.runtime.rendering.chat import kept_chat  # brings transformers
    from engine.runtime.rendering.task_file import (  # brings transformers
        make_task_file,
        write_task_file,
    )

    folder = workdir / form
    folder.mkdir()
    write_graph(model_dir, folder, form, precision=spec.precision, find_version=version_of)
    chat = kept_chat(model_dir, asks=spec.task.spec.has_turns)
    asked = make_task_file(
        spec.task, chat, spec.longest_answers, asks_partly_blank=spec.asks_partly_blank
    )
    write_task_file(folder, asked)
    return tuple(describe(path, root=workdir, form=form) for path in sorted(folder.iterdir()))
