"""`onnx/model.onnx` for ONNX Runtime, with its weights, tokenizer, settings and `task.json` beside it."""

from collections.abc import Callable
from pathlib import Path

from engine.environment import EXTRAS
from engine.errors import Problem, install_hint
from engine.evidence import ExportedFile
from engine.exporters import ExportSpec, describe, write_task
from engine.process.start import module
from engine.progress import Progress
from engine.recipe.model import ONNX
from engine.runtime.tool_process import run_tool

NAME = ONNX
REQUIRES: tuple[str, ...] = ()
REVISION = 1
CONVERTER = "engine.runtime.graph_export"
MODEL_TOOLS = ("torch", "transformers")
TOOLS = (*MODEL_TOOLS, *EXTRAS[ONNX])


def check(find_version: Callable[[str], str | None]) -> tuple[Problem, ...]:
    """Return X814 when what writes the graph, or runs it, is not there."""
    absent = [name for name in TOOLS if find_version(name) is None]
    if not absent:
        return ()
    extras = ONNX if {*absent}.isdisjoint(MODEL_TOOLS) else f"train,{ONNX}"
    what = f"the export to `{ONNX}` needs {', '.join(absent)}"
    return (Problem(code="X814", message=what, path="export.formats", hint=install_hint(extras)),)


def export(
    model_dir: Path, spec: ExportSpec, workdir: Path, progress: Progress
) -> tuple[ExportedFile, ...]:
    """Write the folder `onnx`. StageError X815."""
    from engine.runtime.models.merge import copy_beside  # brings torch
    from engine.runtime.models.model_files import require_data

    folder = workdir / NAME
    folder.mkdir()
    require_data(model_dir)
    model, target = model_dir.absolute(), folder.absolute()
    run_tool(
        module(CONVERTER)(str(model), str(target), spec.precision),
        code="X815",
        tool=f"the export to {ONNX}",
        reads=(model,),
        writes=(target,),
    )
    copy_beside(model, target)
    write_task(model_dir, spec, folder)
    return tuple(describe(path, root=workdir, form=NAME) for path in sorted(folder.iterdir()))
