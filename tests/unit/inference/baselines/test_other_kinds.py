"""Files and servers with tasks that are no classification: the form that answers are held to."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.inference.baselines.models import ask_file
from engine.inference.baselines.shots import BaselinePredictions, Question, ask_served, note_of
from engine.inference.predict import PredictionInputs
from engine.recipe.model import Baseline, Endpoint
from support.chat_service import Body, Service, serving
from support.pico import pico_gguf
from support.stage_bench import Quiet
from support.tasks import task

pytestmark = pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
"""Torchao's, which PEFT imports; seen only until its bytecode is cached."""

SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "open": {"type": "boolean"}},
    "required": ["city", "open"],
    "additionalProperties": False,
}
TASKS = {
    "multilabel": task("multilabel", instruction="which?", labels=("food", "staff")),
    "extraction": task("extraction", instruction="where?", schema=SCHEMA),
    "generation": task("generation", instruction="say it", max_new_tokens=6),
}
TARGETS = {
    "multilabel": "food, staff",
    "extraction": '{"city":"Rome","open":true}',
    "generation": "very good",
}


def question(kind: str, **changes: Any) -> Question:
    target = TARGETS[kind]
    rows = tuple(
        Example(
            id=f"{place:04x}",
            origin="",
            input=f"row {place}",
            target=target,
            labels=("food", "staff") if kind == "multilabel" else (),
            payload={"references": [target]} if kind == "generation" else {},
        )
        for place in range(4)
    )
    asked = PredictionInputs(task=TASKS[kind], max_length=256, answers=(target,))
    given: dict[str, Any] = {
        "baseline": Baseline(kind="model", name="other"),
        "shots": [()] * len(rows),
    }
    fold = Fold(number=0, train=rows, validation=(), judged=rows)
    return Question(asked=asked, fold=fold, **(given | changes))


@pytest.fixture(scope="module")
def gguf() -> Path:
    return pico_gguf()


@pytest.mark.parametrize("kind", list(TASKS))
def test_a_file_is_held_to_the_form_of_the_kind(kind: str, gguf: Path) -> None:
    answered = ask_file(gguf, question(kind), threads=1, progress=Quiet())

    assert len(answered.predictions) == 4
    if kind == "multilabel":
        assert {row.label for row in answered.predictions} <= {
            "none",
            "food",
            "staff",
            TARGETS[kind],
        }
    if kind == "generation":
        assert {row.references for row in answered.predictions} == {(TARGETS[kind],)}


def served(
    kind: str, folder: Path, answer: str, **changes: Any
) -> tuple[BaselinePredictions, list[Body]]:
    with serving(Service(answer=lambda _body: answer, **changes)) as service:
        endpoint = Endpoint(
            url=service.url, model="served", api_key_env="", input_price=0, output_price=0
        )
        answered = ask_served(endpoint, question(kind), work_dir=folder, progress=Quiet())
        return answered, service.asked


def labels_of(answered: BaselinePredictions) -> set[str | None]:
    return {row.label for row in answered.predictions}


def test_several_labels_come_as_an_object_or_as_text(tmp_path: Path) -> None:
    as_object, asked = served("multilabel", tmp_path, '{"labels": ["staff", "food"]}')
    (tmp_path / "text").mkdir()
    as_text, _ = served("multilabel", tmp_path / "text", "staff, food")

    schema = asked[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["labels"]["items"]["enum"] == ["food", "staff"]
    assert labels_of(as_object) == labels_of(as_text) == {"food, staff"}


def test_an_object_is_asked_for_by_its_schema(tmp_path: Path) -> None:
    answered, asked = served("extraction", tmp_path, '{"open": true, "city": "Rome"}')

    assert asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert labels_of(answered) == {TARGETS["extraction"]}


def test_free_text_is_asked_for_freely(tmp_path: Path) -> None:
    answered, asked = served("generation", tmp_path, "very good")

    assert "response_format" not in asked[0]
    assert asked[0]["max_tokens"] == 6
    assert labels_of(answered) == {"very good"}


def test_prose_around_an_answer_is_none(tmp_path: Path) -> None:
    answered, _ = served("multilabel", tmp_path, "I think it is food.")

    assert labels_of(answered) == {None}


def test_what_a_server_does_not_count_has_no_cost(tmp_path: Path) -> None:
    answered, _ = served("generation", tmp_path, "good", usage=False)
    endpoint = Endpoint(url="u", model="m", api_key_env="", input_price=1, output_price=1)

    note = note_of(endpoint, answered.facts, shots=0)

    assert "the server does not count all tokens" in note
    assert "cost" not in note
    assert json.dumps(answered.facts)
