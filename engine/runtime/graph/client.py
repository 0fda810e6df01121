"""A model folder written as a graph, by a process of `engine.runtime.graph.convert_worker`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.environment import EXTRAS
from engine.errors import EnvironmentProblem, Problem, install_hint
from engine.process.start import module
from engine.recipe.model import ONNX
from engine.runtime.models.files import require_data
from engine.runtime.tool_process import run_tool

GRAPH_FILE: Final = "model.onnx"
"""The file that is loaded; as Optimum names it."""
INPUTS: Final = ("input_ids", "attention_mask")
OUTPUT: Final = "logits"
TOKENIZER: Final = "tokenizer.json"


REVISION = 1
CONVERTER = "engine.runtime.graph.convert_worker"
MODEL_TOOLS = ("torch", "transformers")
TOOLS = (*MODEL_TOOLS, *EXTRAS[ONNX])


def missing_tools(find_version: Callable[[str], str | None]) -> Problem | None:
    """Return X814 for what is missing to write graphs and ask them, if anything."""
    absent = [name for name in TOOLS if find_version(name) is None]
    if not absent:
        return None
    extras = ONNX if {*absent}.isdisjoint(MODEL_TOOLS) else f"train,{ONNX}"
    what = f"the export to `{ONNX}` needs {', '.join(absent)}"
    hint = install_hint(extras)
    return Problem(code="X814", message=what, path="export.formats", hint=hint)


def write_graph(
    model: Path, target: Path, *, precision: str, find_version: Callable[[str], str | None]
) -> None:
    """Write the model as a graph, with tokenizer and settings. EnvironmentProblem X814, StageError X815."""
    from engine.runtime.models.merge import copy_beside  # brings torch

    problem = missing_tools(find_version)
    if problem is not None:
        raise EnvironmentProblem(problem)
    require_data(model)
    model, target = model.absolute(), target.absolute()
    run_tool(
        module(CONVERTER)(str(model), str(target), precision),
        code="X815",
        tool=f"the export to {ONNX}",
        reads=(model,),
        writes=(target,),
    )
    copy_beside(model, target)
