"""A graph is scored as the model is: the same answers, shares and tokens, whatever runs it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import EnvironmentProblem
from engine.render.progress import SilentProgress
from engine.runtime.graph import client, worker
from engine.runtime.graph.client import Graph, ask_graph, missing_tools
from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring.label_scoring import choose

LABELS = ("positive", "negative", "neutral", "not sure", "not at all")
TEXTS = ("good", "not a good film at all", "日本 é", "x" * 90)


def as_graph(loaded: LoadedModel) -> worker.Run:
    def run(tokens: Sequence[int]) -> worker.Logits:
        with torch.inference_mode():
            logits: worker.Logits = loaded.model(input_ids=torch.tensor([tokens])).logits[0].numpy()
        return logits

    return run


def asked(pico: LoadedModel) -> tuple[list[str], list[str]]:
    prompts = [pico.chat.prompt([{"role": "user", "content": text}]) for text in TEXTS]
    return prompts, [label + pico.chat.terminator for label in LABELS]


@pytest.mark.parametrize("count", [len(LABELS), 2, 1])
def test_it_finds_what_the_model_says(pico: LoadedModel, count: int) -> None:
    prompts, answers = asked(pico)
    ids = [pico.chat.token_ids(text) for text in prompts]
    of_answers = [pico.chat.token_ids(text) for text in answers[:count]]
    done: list[int] = []

    found = worker.answer(as_graph(pico), ids, of_answers, done.append)

    right = choose(pico, prompts, answers[:count], progress=SilentProgress(), distribution=True)
    assert [one["index"] for one in found["choices"]] == [one.index for one in right]
    for one, other in zip(found["choices"], right, strict=True):
        assert one["probabilities"] == pytest.approx(other.probabilities, abs=1e-5)
    assert (found["is_finite"], done) == (True, [1, 2, 3, 4])


def test_numbers_that_are_none_answer_nothing(pico: LoadedModel) -> None:
    prompts, answers = asked(pico)

    def broken(tokens: Sequence[int]) -> worker.Logits:
        return np.full((len(tokens), 400), np.nan, dtype=np.float32)

    ids = [pico.chat.token_ids(text) for text in (*prompts, *answers)]
    found = worker.answer(broken, ids[:4], ids[4:], lambda _: None)

    assert found == {"choices": [], "is_finite": False}


def test_the_tokenizer_beside_the_graph_reads_the_prompts(
    pico: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, answers = asked(pico)
    monkeypatch.setattr(worker, "load", lambda *_given, **_named: as_graph(pico))
    request, result = tmp_path / "request.json", tmp_path / "result.json"
    folder = {"folder": str(pico.folder), "threads": 1}
    request.write_text(json.dumps({**folder, "prompts": prompts, "answers": answers}))

    worker.main(request, result)

    found = json.loads(result.read_text())
    assert found["token_ids"] == [pico.chat.token_ids(text) for text in prompts]


def test_what_is_missing_is_named_with_its_extra() -> None:
    def find_version(name: str) -> str | None:
        return None if name == "onnxruntime" else "1.0"

    problem = missing_tools(find_version)

    assert problem is not None
    assert problem.message == "the export to `onnx` needs onnxruntime"
    assert (problem.code, problem.hint) == ("X814", "uv sync --extra onnx")


def test_without_the_runtime_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "version_of", lambda _name: None)
    graph = Graph(folder=tmp_path, threads=1)

    with pytest.raises(EnvironmentProblem, match="X814"):
        ask_graph(graph, ["a"], ["b"], workdir=tmp_path, progress=SilentProgress())
