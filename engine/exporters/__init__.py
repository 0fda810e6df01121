"""What leaves: one module a format, named by string and imported on use."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from engine.environment import version_of
from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.progress import Progress
from engine.recipe.model import Task
from engine.runtime.rendering.task_file import make_task_file, write_task_file
from engine.store import sha256_of
from engine.values import Value


class ExportSpec(Value):
    """What is asked of an export."""

    task: Task
    quantization: str
    """llama.cpp's name: Q4_K_M, Q8_0, F16, …"""
    threads: int
    sixteen: Path | None = None
    """The model as a 16-bit GGUF file, where that is there already."""
    longest_answers: tuple[str, ...] = ()
    asks_partly_blank: bool = False
    precision: str = "fp32"
    """Of the weights of a graph (`onnx`): fp32 or fp16."""
    importance: Path | None = None
    """The importance matrix to quantize with; None for none."""


class Exporter(Protocol):
    """A module in `engine.exporters`."""

    NAME: str
    REQUIRES: tuple[str, ...]
    """Formats whose files this one refers to."""

    def check(self, find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
        """Return what is missing here to export, without importing it; reported before any work is done."""

    def export(
        self, model_dir: Path, spec: ExportSpec, workdir: Path, progress: Progress
    ) -> tuple[ExportedFile, ...]:
        """Write the format into `workdir` and describe every file of it."""


def gguf_name(quantization: str) -> str:
    return f"model-{quantization}.gguf"


def write_task(model_dir: Path, spec: ExportSpec, folder: Path) -> None:
    """Write `task.json`, which says how to ask the model of `model_dir`, into `folder`."""
    from engine.runtime.rendering.chat import kept_chat  # brings transformers

    chat = kept_chat(model_dir, asks=spec.task.spec.has_turns)
    blank = spec.asks_partly_blank
    asked = make_task_file(spec.task, chat, spec.longest_answers, asks_partly_blank=blank)
    write_task_file(folder, asked)


def describe(path: Path, *, root: Path, form: str) -> ExportedFile:
    """Return a file's description, named relative to `root`."""
    return ExportedFile(
        name=path.relative_to(root).as_posix(),
        format=form,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )


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
