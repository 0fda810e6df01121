"""A model folder as a graph, which torch writes as ONNX; what says how to ask it is put beside.

The graph is one pass over whole rows, without a cache of keys and values: labels are scored by it as by the other
forms, and text would be generated at the cost of the whole prompt for each token.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.environment import EXTRAS
from engine.errors import EnvironmentProblem, Problem, install_hint
from engine.process.policies import GRAPH_CONVERTER
from engine.process.start import module
from engine.recipe.model import ONNX
from engine.runtime.models.files import require_data
from engine.runtime.tool_process import run_tool

REVISION = 1
"""Bumped when the same model would now give another graph."""
WORKER = "engine.runtime.graph.convert_worker"
MODEL_TOOLS = ("torch", "transformers")
TOOLS = (*MODEL_TOOLS, *EXTRAS[ONNX])
"""The distributions that write and run a graph."""


def missing_tools(find_version: Callable[[str], str | None]) -> Problem | None:
    """Return X814 for what is missing to write graphs and ask them, if anything."""
    absent = [name for name in TOOLS if find_version(name) is None]
    if not absent:
        return None
    extras = ONNX if {*absent}.isdisjoint(MODEL_TOOLS) else f"train,{ONNX}"
    return Problem(
        code="X814",
        message=f"the export to `{ONNX}` needs {', '.join(absent)}",
        path="export.formats",
        hint=install_hint(extras),
    )


def write_graph(
    model: Path, target: Path, *, precision: str, find_version: Callable[[str], str | None]
) -> None:
    """Write the model into the folder `target` as a graph, with tokenizer and settings beside it.

    EnvironmentProblem X814 without the libraries, StageError X815 when the conversion fails.
    """
    from engine.runtime.models.merge import copy_beside  # brings torch

    problem = missing_tools(find_version)
    if problem is not None:
        raise EnvironmentProblem(problem)
    require_data(model)
    model, target = model.absolute(), target.absolute()
    run_tool(
        module(WORKER)(str(model), str(target), precision),
        code="X815",
        tool=f"the export to {ONNX}",
        policy=GRAPH_CONVERTER,
        reads=(model,),
        writes=(target,),
    )
    copy_beside(model, target)
