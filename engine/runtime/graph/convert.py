"""A model folder as a graph: torch writes ONNX, OpenVINO reads that; what says how to ask it is put beside.

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
from engine.runtime.models.files import require_data
from engine.runtime.tool_process import run_tool

REVISION = 1
"""Bumped when the same model would now give another graph."""
WORKER = "engine.runtime.graph.convert_worker"
MODEL_TOOLS = ("torch", "transformers")


def tools_of(form: str) -> tuple[str, ...]:
    """Return the distributions that write and run a graph; its extra has the name of the format."""
    return (*MODEL_TOOLS, *EXTRAS[form])


def missing_tools(form: str, find_version: Callable[[str], str | None]) -> Problem | None:
    """Return X814 for what is missing to write graphs and ask them, if anything."""
    absent = [name for name in tools_of(form) if find_version(name) is None]
    if not absent:
        return None
    extras = form if {*absent}.isdisjoint(MODEL_TOOLS) else f"train,{form}"
    return Problem(
        code="X814",
        message=f"the export to `{form}` needs {', '.join(absent)}",
        path="export.formats",
        hint=install_hint(extras),
    )


def write_graph(
    model: Path,
    target: Path,
    form: str,
    *,
    precision: str,
    find_version: Callable[[str], str | None],
) -> None:
    """Write the model into the folder `target` as a graph, with tokenizer and settings beside it.

    EnvironmentProblem X814 without the libraries, StageError X815 when the conversion fails.
    """
    from engine.runtime.models.merge import copy_beside  # brings torch

    problem = missing_tools(form, find_version)
    if problem is not None:
        raise EnvironmentProblem(problem)
    require_data(model)
    model, target = model.absolute(), target.absolute()
    run_tool(
        module(WORKER)(str(model), str(target), form, precision),
        code="X815",
        tool=f"the export to {form}",
        policy=GRAPH_CONVERTER,
        reads=(model,),
        writes=(target,),
    )
    copy_beside(model, target)
