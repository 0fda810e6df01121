"""An exported graph asked by its users' runtime; each call is one process of `engine.runtime.graph.worker`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.environment import version_of
from engine.errors import EnvironmentProblem, StageError
from engine.files.reading import MOST_ANSWERS, read_json
from engine.process.policies import GRAPH
from engine.process.start import module
from engine.progress import Progress
from engine.recipe.model import ONNX
from engine.runtime.graph.convert import missing_tools
from engine.runtime.scoring.label_search import LabelChoice, choices_of
from engine.runtime.tool_process import request_files, run_tool
from engine.values import Value

WORKER = "engine.runtime.graph.worker"


class Graph(Value):
    """An exported graph, and with how many threads it is run."""

    folder: Path
    threads: int


class GraphAnswers(Value):
    """The answers of a graph, by prompt."""

    choices: list[LabelChoice]
    token_ids: list[list[int]]
    """Of each prompt, as the tokenizer beside the graph reads it."""
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
    """Return for each prompt the most probable of `answers`, which end with what ends the turn, and all shares.

    `workdir` takes two small files, removed again. EnvironmentProblem X814 without the runtime, StageError X816 when
    it fails.
    """
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
            policy=GRAPH,
            reads=(graph.folder,),
            writes=(workdir,),
            on_line=lambda line: progress.update(int(line), len(prompts), "rows"),
        )
        found = read_json(result, limit=MOST_ANSWERS)
    choices = choices_of(found.pop("choices"))
    if found["is_finite"] and len(choices) != len(prompts):
        raise StageError.one("X816", f"{ONNX} answered {len(choices)} of {len(prompts)} rows")
    return GraphAnswers(**found, choices=choices)
