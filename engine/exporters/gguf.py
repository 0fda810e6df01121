"""One quantized GGUF file, and `task.json` that says how to ask it."""

from collections.abc import Callable
from pathlib import Path

from engine.environment import missing_gguf_tools
from engine.errors import Problem
from engine.evidence import ExportedFile
from engine.exporters import ExportSpec, describe, gguf_name, write_task
from engine.progress import Progress, mention
from engine.runtime.rendering.task_file import FILE
from engine.values import replace

NAME = "gguf"
REQUIRES: tuple[str, ...] = ()


def check(find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    """Return X630 when the converter or the quantizer is not there."""
    problem = missing_gguf_tools(find_version)
    return () if problem is None else (problem,)


def export(
    model_dir: Path, spec: ExportSpec, workdir: Path, progress: Progress
) -> tuple[ExportedFile, ...]:
    """Write `model-<QUANTIZATION>.gguf` and `task.json`. Errors: those of `write_gguf`."""
    from engine.runtime.gguf.convert import find_tools, read_facts, write_gguf  # no plan writes

    tools = find_tools()
    target = workdir / gguf_name(spec.quantization)
    write_gguf(
        model_dir,
        target,
        spec.quantization,
        threads=spec.threads,
        tools=tools,
        sixteen=spec.sixteen,
        importance=spec.importance,
    )
    # Read back: llama.cpp stores tensors whose rows do not fit the blocks in other types than the one asked for.
    facts = read_facts(target, spec.quantization)
    stored = ", ".join(f"{count} {name}" for name, count in facts.types.items())
    mention(progress, f"{target.name}: tensors as {stored} · made with {tools.origin}")
    write_task(model_dir, spec, workdir)
    described = replace(
        describe(target, root=workdir, form=NAME),
        bits_per_weight=facts.bits_per_weight,
        fallback_tensors=facts.fallback_tensors,
        tensors=facts.tensors,
    )
    return described, describe(workdir / FILE, root=workdir, form=NAME)
