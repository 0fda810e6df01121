"""A graph is scored as the model is: the same answers, shares and tokens, whatever runs it."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from engine.errors import StageError
from engine.render.progress_display import SilentProgress
from engine.runtime import graph_session as session
from engine.runtime.graph_session import ask_graph
from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring.label_scoring import choose

LABELS = ("positive", "negative", "neutral", "not sure", "not at all")
TEXTS = ("good", "not a good film at all", "日本 é", "x" * 90)


def as_graph(loaded: LoadedModel) -> session.Run:
    def run(tokens: Sequence[int]) -> session.Logits:
        with torch.inference_mode():
            logits: session.Logits = (
                loaded.model(input_ids=torch.tensor([tokens])).logits[0].numpy()
            )
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

    found = session.answer(as_graph(pico), ids, of_answers, done.append)

    right = choose(pico, prompts, answers[:count], progress=SilentProgress(), distribution=True)
    assert [one.index for one in found] == [one.index for one in right]
    for one, other in zip(found, right, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert done == [1, 2, 3, 4]


def test_numbers_that_are_none_answer_nothing(pico: LoadedModel) -> None:
    prompts, answers = asked(pico)

    def broken(tokens: Sequence[int]) -> session.Logits:
        return np.full((len(tokens), 400), np.nan, dtype=np.float32)

    ids = [pico.chat.token_ids(text) for text in (*prompts, *answers)]
    found = session.answer(broken, ids[:4], ids[4:], lambda _: None)

    assert found == []


def test_the_tokenizer_beside_the_graph_reads_the_prompts(
    pico: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, answers = asked(pico)
    monkeypatch.setattr(session, "load", lambda *_given, **_named: as_graph(pico))

    choices, read = ask_graph(pico.folder, prompts, answers, threads=1, progress=SilentProgress())

    assert read == [pico.chat.token_ids(text) for text in prompts]
    assert len(choices) == len(prompts)


def test_a_graph_that_the_runtime_refuses_is_named(
    pico: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object, **_named: object) -> session.Run:
        raise RuntimeError("Protobuf parsing failed")

    monkeypatch.setattr(session, "load", refuse)

    with pytest.raises(StageError, match="Protobuf parsing failed"):
        ask_graph(pico.folder, ["a"], ["b", "c"], threads=1, progress=SilentProgress())
