"""The stage with a tiny real model: every way to answer, each asked once."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.model import Baseline, Endpoint, PathRef
from engine.runtime.served import endpoint as chat_rows
from engine.stages import baseline
from engine.store import Artifact
from engine.values import replace
from support.chat_service import Body, Service, serving
from support.pico import make_pico_model, pico_gguf
from support.stage_bench import Bench, make_bench

pytestmark = pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
"""Torchao's, which PEFT imports; seen only until its bytecode is cached."""


def says(body: Body) -> str:
    """A served model that knows the words of the made-up rows."""
    asked = body["messages"][-1]["content"]
    is_good = any(word in asked for word in ("good", "fine", "lovely", "great", "happy"))
    return json.dumps({"label": "positive" if is_good else "negative"})


@pytest.fixture(scope="module")
def served() -> Iterator[Service]:
    with serving(Service(answer=says, models={"pico": "somebody"})) as service:
        yield service


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, served: Service) -> Bench:
    folder = tmp_path_factory.mktemp("ways")
    bench = make_bench(folder)
    base = make_pico_model(folder / "pico")
    other = PathRef(path=make_pico_model(folder / "other", seed=5), written="other")
    gguf = Path(shutil.copy(pico_gguf(seed=5), folder / "other.gguf"))
    endpoint = Endpoint(
        url=served.url, model="pico", api_key_env="", input_price=0.5, output_price=2.0
    )
    bench.recipe = replace(
        bench.recipe,
        baselines=(
            Baseline(kind="retrieved_few_shot", name="retrieved_few_shot", shots=2),
            Baseline(kind="model", name="other", ref=other),
            Baseline(kind="model", name="file", gguf=PathRef(path=gguf, written="other.gguf")),
            Baseline(kind="model", name="served", endpoint=endpoint, shots=1),
        ),
        base_model=PathRef(path=base, written="pico"),
        method=replace(bench.recipe.method, max_length=512),
    )
    bench.references |= {"baselines.other": {"sha256": "o"}, "baselines.file": {"sha256": "f"}}
    return bench


@pytest.fixture(scope="module")
def measured(bench: Bench) -> Artifact:
    return bench.run(baseline)


def predictions_of(measured: Artifact, name: str) -> list[Prediction]:
    return read_predictions(measured.file(f"predictions.{name}.jsonl"))


def entry(measured: Artifact, name: str) -> dict[str, Any]:
    found = json.loads(measured.file("baselines.json").read_text(encoding="utf-8"))
    return next(item for item in found if item["name"] == name)


def test_every_way_answers_every_row(measured: Artifact) -> None:
    for name in ("retrieved_few_shot", "other", "file", "served"):
        assert len(predictions_of(measured, name)) == 40
        assert {row.label for row in predictions_of(measured, name)} <= {"negative", "positive"}


def test_a_file_answers_as_the_model_that_it_was_made_of(measured: Artifact) -> None:
    for one, other in zip(
        predictions_of(measured, "file"), predictions_of(measured, "other"), strict=True
    ):
        assert positive(one) == pytest.approx(positive(other), abs=0.02)


def positive(row: Prediction) -> float:
    probability = row.probability or 0.0
    return probability if row.label == "positive" else 1 - probability


def test_a_served_model_is_judged_by_what_it_says(measured: Artifact) -> None:
    rows = predictions_of(measured, "served")

    assert [row.label for row in rows] == [row.target for row in rows]


def test_what_a_server_was_asked_holds_its_shots(measured: Artifact, served: Service) -> None:
    assert measured.key
    roles = {tuple(turn["role"] for turn in body["messages"]) for body in served.asked}

    assert roles == {("user", "assistant", "user")}


def test_notes_say_how_it_was_done_and_what_it_cost(measured: Artifact) -> None:
    notes = {name: entry(measured, name)["note"] for name in ("served", "file", "other")}
    tokens = entry(measured, "served")["facts"]

    assert "the 2 nearest training examples" in entry(measured, "retrieved_few_shot")["note"]
    assert "constrained by json schema" in notes["served"]
    assert "not pinned" in notes["served"]
    assert tokens["input_tokens"] == 400
    assert f"cost {(400 * 0.5 + tokens['output_tokens'] * 2) / 1e6:.4f}" in notes["served"]
    assert "`other.gguf` in llama.cpp, no shots" in notes["file"]
    assert "another model, no shots" in notes["other"]


def test_another_price_asks_nothing_again(
    bench: Bench, measured: Artifact, served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "built", [])
    monkeypatch.setattr(bench, "artifacts", dict(bench.artifacts))
    endpoint = bench.recipe.baselines[-1].endpoint
    assert endpoint is not None
    dearer = replace(bench.recipe.baselines[-1], endpoint=replace(endpoint, input_price=50))
    changed = (*bench.recipe.baselines[:-1], dearer)
    monkeypatch.setattr(bench, "recipe", replace(bench.recipe, baselines=changed))
    before = len(served.asked)

    again = bench.run(baseline)

    assert "cost 0.02" in entry(again, "served")["note"]
    assert "cost 0.00" in entry(measured, "served")["note"]
    assert (bench.built, len(served.asked)) == ([], before)


def test_an_interrupted_server_is_not_paid_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_rows, "FIRST_PAUSE", 0.001)
    flaky = Service(answer=says, models={"pico": ""})
    with serving(flaky) as service:
        endpoint = replace(bench.recipe.baselines[-1].endpoint, url=service.url)  # type: ignore[type-var]
        changed = replace(bench.recipe.baselines[-1], endpoint=endpoint)
        asked = replace(bench.recipe, baselines=(changed,))
        again = replace_bench(bench, asked)
        service.answer = fails_after(service, 20)
        with pytest.raises(EngineError, match="E725"):
            again.run(baseline)
        answered = sum(1 for _ in kept_lines(bench))
        service.answer = says
        service.asked.clear()
        made = again.run(baseline)

    assert answered >= 19
    assert len(service.asked) == 40 - answered
    assert len(predictions_of(made, "served")) == 40
    assert not list(kept_lines(bench))


def fails_after(service: Service, count: int) -> Any:
    def answer(body: Body) -> str:
        if len(service.asked) > count:
            raise ConnectionResetError
        return says(body)

    return answer


def replace_bench(bench: Bench, recipe: Any) -> Bench:
    return Bench(
        folder=bench.folder,
        recipe=recipe,
        artifacts=dict(bench.artifacts),
        references=bench.references,
    )


def kept_lines(bench: Bench) -> Iterator[str]:
    for file in (bench.folder / "store" / "scratch").glob("*/answers.jsonl"):
        yield from file.read_text(encoding="utf-8").splitlines()


def test_what_is_wrong_with_another_model_is_reported_under_its_name(bench: Bench) -> None:
    missing = PathRef(path=bench.folder / "rows.csv", written="rows.csv")
    asked = (Baseline(kind="model", name="wrong", ref=missing),)
    again = replace_bench(bench, replace(bench.recipe, baselines=asked))
    again.references = {"baselines.wrong": {"sha256": "w"}}

    with pytest.raises(EngineError) as raised:
        again.run(baseline)

    (problem,) = raised.value.problems
    assert problem.path == "baselines"
    assert "base model" not in problem.message
