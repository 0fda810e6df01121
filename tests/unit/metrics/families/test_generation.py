import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from engine.errors import EnvironmentProblem
from engine.evidence import Scores
from engine.kinds import KINDS
from engine.metrics.families import generation
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import paired_difference
from engine.metrics.scoring import score
from support.examples import examples
from support.metric_values import values
from support.tasks import task

TASK = task("generation")
Rows = list[tuple[str, list[str]]]


def predictions(rows: Rows) -> list[Prediction]:
    return [
        Prediction(
            id=f"{place:05}",
            target=references[0],
            label=text.strip() or None,
            text=text,
            probability=None,
            references=tuple(references),
        )
        for place, (text, references) in enumerate(rows)
    ]


def judged(rows: Rows, pattern: str = "") -> Scores:
    return score(
        predictions(rows),
        Judging(task=task("generation", answer_pattern=pattern), confidence=0.95, seed=7),
    )


def test_a_hand_computed_case() -> None:
    scores = judged(
        [
            (" It is 1,000. #### 1000\n", ["It is 1,000. #### 1000"]),
            ("the sum: 12 #### 12", ["A sum 12 #### 12.0", "unlike"]),
            ("#### 7", ["#### 8", "I say #### 7"]),
            ("", ["5 #### 5"]),
        ],
        pattern=r"#### (-?[0-9.,]+)",
    )

    found = {metric.name: metric.value for metric in scores.metrics}
    assert found["exact_match"] == 1 / 4
    assert found["normalised_match"] == 1 / 4
    assert found["answer_match"] == 2 / 4
    assert found["numeric_match"] == 3 / 4
    assert found["valid_output"] == 3 / 4


def test_every_metric_that_recipes_may_name_is_computed() -> None:
    assert {spec.name for spec in KINDS["generation"].metrics} == {
        metric.name for metric in judged([("a", ["a"])]).metrics
    }


def test_a_metric_that_the_task_gives_no_ground_for_says_why() -> None:
    scores = judged([("yes", ["yes"]), ("no", ["yes"])])

    assert scores.metric("answer_match").undefined == "task.answer_pattern is not set"
    assert scores.metric("numeric_match").undefined == "no reference holds a number"


def test_an_answer_that_no_pattern_finds_is_wrong_even_where_the_reference_has_none() -> None:
    assert judged([("7", ["7"])], pattern="#### (.*)").metric("answer_match").value == 0.0


def test_no_rows_leave_everything_undefined() -> None:
    assert all(metric.value is None and metric.undefined for metric in judged([]).metrics)


def test_empty_outputs_are_worth_nothing() -> None:
    scores = judged([("", ["a b c d e"]), ("  ", ["4 5 6 7"])])

    assert {metric.value for metric in scores.metrics} == {0.0, None}


def test_all_right_is_not_certainty_and_all_wrong_is_not_either() -> None:
    right = judged([("one two three four five", ["one two three four five"])] * 30)
    wrong = judged([("six", ["one two three four five"])] * 30)

    for name in ("rouge_1", "rouge_2", "rouge_l", "chrf", "bleu", "exact_match"):
        best, worst = right.metric(name), wrong.metric(name)
        assert best.value == pytest.approx(1.0)
        assert best.interval is not None
        assert 0.6 < best.interval.low < 0.97
        assert worst.interval is not None
        assert 0.02 < worst.interval.high < 0.4


def test_two_models_are_compared_by_wording() -> None:
    good = predictions([("one two three four five", ["one two three four five"])] * 20)
    poor = predictions([("one two", ["one two three four five"])] * 20)

    for name in ("bleu", "chrf", "rouge_l"):
        found = paired_difference(name, good, poor, Judging(task=TASK, confidence=0.95, seed=7))
        assert found.metric.value is not None
        assert found.metric.value > 0.2
        assert found.p_value is not None
        assert found.p_value < 0.01
        assert found.test == "paired permutation test"


TEXT = st.lists(
    st.sampled_from(["a", "cat", "sat", "on", "the", "mat", ".", ",", "Ünder", "x-y", "12"]),
    max_size=9,
).map(" ".join)
ROWS = st.lists(
    st.tuples(TEXT, st.lists(TEXT.filter(bool), min_size=1, max_size=3)), min_size=1, max_size=8
)


@settings(max_examples=examples(40), deadline=None)
@given(rows=ROWS)
@example(rows=[("", ["a"])])
@example(rows=[("the cat sat", ["the cat sat"])])
@example(rows=[("the cat sat on", ["mat"]), ("on the mat .", ["on the mat ."])])
def test_bleu_and_chrf_are_sacrebleus(rows: Rows) -> None:
    texts = [text for text, _ in rows]
    most = max(len(references) for _, references in rows)
    streams: Any = [
        [references[place] if place < len(references) else None for _, references in rows]
        for place in range(most)
    ]

    found = values(predictions(rows), TASK)

    assert found["bleu"] == pytest.approx(BLEU().corpus_score(texts, streams).score / 100)
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(texts, streams).score / 100)


@settings(max_examples=examples(30), deadline=None)
@given(rows=ROWS)
def test_rouge_is_rouge_scores(rows: Rows) -> None:
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    rows = [
        (text.replace("Ü", "U"), [one.replace("Ü", "U") for one in held]) for text, held in rows
    ]
    scores = [scorer.score_multi(references, text) for text, references in rows]

    found = values(predictions(rows), TASK)

    for name, theirs in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        assert found[name] == pytest.approx(np.mean([one[theirs].fmeasure for one in scores]))


def test_words_of_other_scripts_count_too() -> None:
    assert (
        judged(
            [
                (
                    "\u043a\u043e\u0442 \u0441\u043f\u0438\u0442",
                    ["\u043a\u043e\u0442 \u0435\u0441\u0442"],
                )
            ]
        )
        .metric("rouge_1")
        .value
        == 0.5
    )


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        ("वह लड़का घर गया", "वह लड़की घर गयी", 0.5),  # a boy and a girl went home
        ("मई", "मे", 0.0),
        ("cafe\u0301 noir", "caf\u00e9 noir", 1.0),
        ("un cafe\u0301", "un cafe", 0.5),
    ],
)
def test_marks_are_a_part_of_their_word(text: str, reference: str, value: float) -> None:
    assert judged([(text, [reference])]).metric("rouge_1").value == value


def test_a_perfect_text_has_the_statistics_of_its_reference() -> None:
    reference = "the cat sat on the mat"
    found = generation.overlap_statistics(reference, (reference,))
    bleu, chrf = np.array([found.bleu]), np.array([found.chrf])

    assert generation.perfect_bleu(bleu, right=True).tolist() == bleu.tolist()
    assert generation.perfect_chrf(chrf, right=True).tolist() == chrf.tolist()
    assert generation.bleu_score(generation.perfect_bleu(bleu, right=False)) == 0
    assert generation.chrf_score(generation.perfect_chrf(chrf, right=False)) == 0


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    generation._sacrebleu.cache_clear()
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)

    with pytest.raises(EnvironmentProblem, match="needs rouge-score and sacrebleu") as raised:
        generation.overlap_statistics("not asked before", ("a",))

    assert raised.value.problems[0].hint == "uv sync --extra metrics"
