"""An exported graph asked by its users' runtime; each call is one process of `engine.runtime.graph.worker`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import convert

from engine.environment import EXTRAS, version_of
from engine.errors import EnvironmentProblem, Problem, StageError, install_hint
from engine.files.reading import MOST_ANSWERS, read_json
from engine.process.start import module
from engine.progress import Progress
from engine.recipe.model import ONNX
from engine.runtime.models.files import require_data
from engine.runtime.scoring.label_search import LabelChoice
from engine.runtime.tool_process import request_files, run_tool
from engine.values import Value

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


WORKER = "engine.runtime.graph.worker"


class Graph(Value):
    """An exported graph, and with how many threads it is run."""

    folder: Path
    threads: int


class GraphAnswers(Value):
    """The answers of a graph, by prompt."""

    choices: list[LabelChoice]
    token_ids: list[list[int]]
    is_finite: bool
    """False where the model's numbers were none: nothing was answered then, but all prompts were read."""


def ask_graph(
    graph: Graph,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    workdir: Path,
    progress: Progress,
) -> GraphAnswers:
    """Return for each prompt the shares of all `answers`. EnvironmentProblem X814, StageError X816."""
    if (problem := missing_tools(version_of)) is not None:
        raise EnvironmentProblem(problem)
    asked = {
        "folder": str(graph.folder.absolute()),
        "threads": graph.threads,
        "prompts": list(prompts),
        "answers": list(answers),
    }
    with request_files(asked, workdir, name="graph") as (request, result):
        run_tool(
            module(WORKER)(str(request), str(result)),
            code="X816",
            tool=ONNX,
            reads=(graph.folder,),
            writes=(workdir,),
            on_line=lambda line: progress.update(int(line), len(prompts), "rows"),
        )
        found = convert(read_json(result, limit=MOST_ANSWERS), GraphAnswers)
    if found.is_finite and len(found.choices) != len(prompts):
        raise StageError.one("X816", f"{ONNX} answered {len(found.choices)} of {len(prompts)} rows")
    return found
