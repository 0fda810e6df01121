"""Each kind of task is asked in its own way."""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.errors import DataError
from engine.inference import predict as answering
from engine.inference.predict import PredictionInputs
from engine.metrics.predictions import Judging
from engine.metrics.scoring import score
from engine.recipe.model import Recipe, Task
from engine.values import replace
from support.pico import make_pico_model
from support.stage_bench import CPU, Quiet, make_bench

pytestmark = pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
SCHEMA = {"type": "object", "properties": {"film": {"enum": ["good", "bad"]}}, "required": ["film"]}
TURNS = [
    {"role": "user", "content": "is this good?"},
    {"role": "assistant", "content": "it is"},
    {"role": "user", "content": "and this?"},
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from engine.runtime.models.load import load_model  # brings torch

    folder = make_pico_model(tmp_path_factory.mktemp("pico") / "model")
    return load_model(folder, device=CPU, precision="fp32")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return make_bench(tmp_path_factory.mktemp("recipe")).recipe


def _asked(
    recipe: Recipe, kind: Any, train: Sequence[Example] = (), **task: Any
) -> PredictionInputs:
    changed: Task = replace(recipe.task, kind=kind, **{"labels": (), **task})
    return PredictionInputs.of(replace(recipe, task=changed), train)


def _row(text: str, target: str, payload: Mapping[str, Any] | None = None) -> Example:
    return Example(
        id=text, origin="rows:1", input=text, target=target, payload=payload or {}, group="g"
    )


def _pair(*chosen: str) -> Example:
    answer = [
        {"role": ("assistant", "user")[at % 2], "content": text} for at, text in enumerate(chosen)
    ]
    other = [{"role": "assistant", "content": "it was bad"}]
    asked = [{"role": "user", "content": "is this good?"}]
    return _row(
        "is this good?", chosen[-1], {"messages": asked, "chosen": answer, "rejected": other}
    )


@pytest.mark.parametrize("max_length", [8, 128])
def test_every_token_of_a_document_costs_bits(loaded: Any, recipe: Recipe, max_length: int) -> None:
    uniform = copy.copy(loaded)
    object.__setattr__(uniform, "model", copy.deepcopy(loaded.model))
    for weights in uniform.model.parameters():
        weights.data.zero_()
    asked = replace(_asked(recipe, "text"), max_length=max_length)
    texts = ["a", "the film was good", "not bad at all, said one who had seen it twice"]

    found = answering.judged(uniform, asked, [_row(one, "") for one in texts], progress=Quiet())

    # each token is as probable as any of the vocabulary, the first of a text and of a block too
    blocks = [
        part.answer for text in texts for part in asked.renderer(loaded.chat).render(_row(text, ""))
    ]
    tokens = sum(len(loaded.chat.token_ids(block)) for block in blocks)
    scores = score(found, Judging(task=asked.task, confidence=0.95, seed=7))
    per_byte = tokens / sum(map(len, texts))
    assert scores.metric("bits_per_byte").value == pytest.approx(
        math.log2(loaded.vocabulary) * per_byte
    )


def test_both_answers_of_a_pair_are_scored_after_the_same_prompt(
    loaded: Any, recipe: Recipe
) -> None:
    asked = _asked(recipe, "preference")
    single = _row("is this good?", "it was bad", _pair("it was bad").payload)

    (pair,) = answering.judged(loaded, asked, [_pair("it was good")], progress=Quiet())
    (other,) = answering.judged(loaded, asked, [single], progress=Quiet())

    assert pair.nats is not None
    assert pair.rejected_nats == pytest.approx(other.nats, rel=1e-5)
    assert (pair.rejected_tokens, pair.rejected_bytes) == (other.tokens, other.bytes)
    assert pair.bytes == len("it was good<|im_end|>")


def test_an_answer_of_several_turns_is_not_judged_as_one(loaded: Any, recipe: Recipe) -> None:
    with pytest.raises(DataError, match="D426"):
        answering.judged(
            loaded, _asked(recipe, "preference"), [_pair("yes", "and?", "no")], progress=Quiet()
        )


def test_a_classifier_says_one_of_its_labels(loaded: Any, recipe: Recipe) -> None:
    asked = _asked(recipe, "classification", labels=("good", "bad"))

    (prediction,) = answering.judged(loaded, asked, [_row("the film", "good")], progress=Quiet())

    assert prediction.label in ("good", "bad")
    assert (prediction.label, prediction.group) == (prediction.text, "g")


def _taught(loaded: Any, asked: PredictionInputs, answers: Mapping[str, str]) -> Any:
    """A copy of the model that gives what `answers` holds for each text, learned by heart."""
    import torch

    taught = replace(loaded, model=copy.deepcopy(loaded.model))
    chat = loaded.chat
    rows = []
    for text, answer in answers.items():
        turns = answering.asked_turns(asked.task, _row(text, ""))
        prompt = chat.token_ids(chat.prompt(turns))
        rows.append((prompt, chat.token_ids(answer + chat.terminator)))
    learning = torch.optim.AdamW(taught.model.parameters(), lr=1e-2)
    for _ in range(25):
        for prompt, answer in rows:
            logits = taught.model(torch.tensor([[*prompt, *answer]])).logits[
                0, len(prompt) - 1 : -1
            ]
            loss: Any = torch.nn.functional.cross_entropy(logits, torch.tensor(answer))
            loss.backward()
        learning.step()
        learning.zero_grad()
    return taught


@pytest.mark.thorough
def test_without_shares_the_same_labels_are_found_with_fewer_tokens(
    loaded: Any, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.runtime.scoring import label_search

    labels = ("good", "not good", "bad", "not bad", "the film was good", "the plot was bad")
    asked = _asked(recipe, "classification", labels=labels)
    answers = {"the film": "good", "the plot": "not bad", "liked": "bad"}
    taught, rows = _taught(loaded, asked, answers), [_row(text, "good") for text in answers]
    taken = []
    take = label_search.Search.take
    monkeypatch.setattr(
        label_search.Search, "take", lambda *given: (taken.append(1), take(*given))[1]
    )

    whole = answering.judged(taught, asked, rows, progress=Quiet())
    most = len(taken)
    found = answering.judged(taught, asked, rows, progress=Quiet(), shares=False)

    assert [one.label for one in found] == [one.label for one in whole] == [*answers.values()]
    assert len(taken) - most < most
    assert all(one.probability is None and not one.probabilities for one in found)
    assert all(one.probability for one in whole)


@pytest.mark.thorough
def test_only_rows_that_answer_no_label_are_decoded_besides(
    loaded: Any, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _asked(recipe, "classification", labels=("good", "not good"))
    answers = {"the film": "good", "the plot": "not good", "liked": "not bad"}
    taught, rows = _taught(loaded, asked, answers), [_row(text, "good") for text in answers]
    expected = (
        answering.judged(taught, asked, rows, progress=Quiet()),
        answering.free(taught, asked, rows, progress=Quiet()),
    )
    decoded: list[str] = []
    free = answering.free

    def counted(*given: Any, **named: Any) -> Any:
        decoded.extend(row.id for row in given[2])
        return free(*given, **named)

    monkeypatch.setattr(answering, "free", counted)

    both = answering.judged_and_free(taught, asked, rows, progress=Quiet())

    assert both == expected
    assert [one.text for one in both[1]] == [*answers.values()]
    assert decoded == ["liked"]


def test_several_labels_come_in_the_order_of_the_task(loaded: Any, recipe: Recipe) -> None:
    asked = _asked(recipe, "multilabel", labels=("good", "bad", "film"))
    rows = [_row(text, "none") for text in ("the film", "the plot was bad")]

    predictions = answering.judged(loaded, asked, rows, progress=Quiet())

    assert [one.text for one in predictions] == [one.label for one in predictions]
    assert all(0 <= (one.probability or 0) <= 1 for one in predictions)


def test_an_object_fits_its_schema(loaded: Any, recipe: Recipe) -> None:
    rows = [_row("the film", '{"film":"good"}')]
    asked = _asked(recipe, "extraction", rows, schema=SCHEMA)

    (prediction,) = answering.judged(loaded, asked, rows, progress=Quiet())

    assert prediction.label is not None
    assert json.loads(prediction.label)["film"] in ("good", "bad")


def test_an_object_that_is_cut_off_is_no_answer(loaded: Any, recipe: Recipe) -> None:
    schema = {"type": "object", "properties": {"film": {"type": "string", "minLength": 90}}}
    asked = _asked(recipe, "extraction", schema={**schema, "required": ["film"]}, max_new_tokens=20)

    (prediction,) = answering.judged(loaded, asked, [_row("a", "{}")], progress=Quiet())

    assert prediction.label is None


def test_free_text_brings_its_references(loaded: Any, recipe: Recipe) -> None:
    rows = [_row("the film", "good", {"references": ["good", "very good"]})]
    asked = _asked(recipe, "generation", rows)

    (prediction,) = answering.judged(loaded, asked, rows, progress=Quiet())

    assert prediction.references == ("good", "very good")
    assert prediction.label == (prediction.text.strip() or None)


def test_an_answer_may_be_as_long_as_those_in_training_and_a_little_longer(
    loaded: Any, recipe: Recipe
) -> None:
    rows = [_row("a", "good"), _row("b", "the film was good")]
    longest = len(loaded.chat.token_ids(f"the film was good{loaded.chat.terminator}"))

    assert _asked(recipe, "generation", rows).max_new_tokens(loaded.chat) == longest + 8
    assert _asked(recipe, "generation", rows, max_new_tokens=7).max_new_tokens(loaded.chat) == 7


def test_other_training_answers_are_another_question(recipe: Recipe) -> None:
    one = _asked(recipe, "generation", [_row("a", "good")])
    two = _asked(recipe, "generation", [_row("a", "very good")])

    assert one.payload() != two.payload()


def test_turns_of_a_row_are_its_question(recipe: Recipe) -> None:
    task = _asked(recipe, "generation", instruction="", system="Be short.").task
    row = _row("…", "no", {"messages": TURNS})

    turns = answering.asked_turns(task, row, [("a", "b")])

    assert [turn["content"] for turn in turns] == [
        "Be short.",
        "a",
        "b",
        *(turn["content"] for turn in TURNS),
    ]


def test_each_row_may_have_shots_of_its_own(loaded: Any, recipe: Recipe) -> None:
    asked = _asked(recipe, "classification", labels=("good", "bad"))
    rows = [_row("the film", "good"), _row("the plot", "bad")]
    own = [[("a film", "good"), ("b", "bad")], []]

    predictions = answering.judged(loaded, asked, rows, progress=Quiet(), shots=own)

    alone = [
        answering.judged(loaded, asked, [row], progress=Quiet(), shots=[shots])[0]
        for row, shots in zip(rows, own, strict=True)
    ]
    assert [one.label for one in predictions] == [one.label for one in alone]


def test_a_chat_is_scored_by_what_training_learns_of_it(loaded: Any, recipe: Recipe) -> None:
    turns = [*TURNS, {"role": "assistant", "content": "not bad"}]
    asked = _asked(recipe, "chat", instruction="")

    (prediction,) = answering.judged(
        loaded, asked, [_row("…", "not bad", {"messages": turns})], progress=Quiet()
    )

    ending = loaded.chat.terminator
    learned = [f"it is{ending}", f"not bad{ending}"]
    assert prediction.tokens == sum(len(loaded.chat.token_ids(text)) for text in learned)
    assert prediction.bytes == sum(len(text.encode()) for text in learned)
    assert prediction.nats is not None
    assert prediction.nats > 0
    assert answering.free(loaded, asked, [_row("…", "")], progress=Quiet()) == []


def test_a_long_document_is_scored_in_the_blocks_of_training(loaded: Any, recipe: Recipe) -> None:
    text = "the film was good. " * 40
    asked = replace(_asked(recipe, "text", instruction=""), max_length=64)

    (prediction,) = answering.judged(loaded, asked, [_row(text, "")], progress=Quiet())

    # How the token that ends a document is written says nothing of the document.
    assert prediction.bytes == len(text.encode())


def test_nobody_is_asked_where_there_are_no_rows(loaded: Any, recipe: Recipe) -> None:
    asked = _asked(recipe, "classification", labels=("good", "bad"))

    assert answering.judged(loaded, asked, [], progress=Quiet()) == []
