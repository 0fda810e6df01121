"""Classifiers on an encoder: what they learn, how they choose, the same answers twice."""

import numpy as np
import pytest

from engine.errors import StageError
from engine.runtime.encoders import classifiers as linear
from engine.runtime.encoders.classifiers import (
    ALONE,
    BESIDE,
    GRIDS,
    LabelledTexts,
    linear_answers,
    tune,
)
from engine.runtime.encoders.encoder import Encoder, load_encoder
from support.encoders import make_tiny_encoder
from support.project import rows
from support.stage_bench import CPU, Quiet

TRAIN, JUDGED = rows(60, seed=1), rows(30, seed=2)
LABELS = np.array([label for _, label in TRAIN])
RIGHT = np.array([label for _, label in JUDGED])
FOLDS = [place % 5 for place in range(60)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(
        make_tiny_encoder(tmp_path_factory.mktemp("encoder")), device=CPU, precision="fp32"
    )


def labelled(encoder: Encoder, given: list[tuple[str, str]], labels: np.ndarray) -> LabelledTexts:
    texts = [text for text, _ in given]
    return LabelledTexts(texts=texts, vectors=encoder.vectors(texts, Quiet()), labels=labels)


def columns(labels: np.ndarray) -> np.ndarray:
    """Good, bad, always, never."""
    good = labels == "positive"
    return np.stack([good, ~good, good | ~good, good & ~good], axis=1).astype(int)


@pytest.mark.thorough
def test_the_linear_model_learns_one_label_or_several(encoder: Encoder) -> None:
    train, judged = labelled(encoder, TRAIN, LABELS), labelled(encoder, JUDGED, RIGHT)
    one = linear_answers(train, None, judged, folds=FOLDS, seed=7)
    many = linear_answers(
        labelled(encoder, TRAIN, columns(LABELS)),
        None,
        labelled(encoder, JUDGED, columns(RIGHT)),
        folds=FOLDS,
        seed=7,
    )

    assert (one.answers == RIGHT).mean() > 0.9
    assert (many.answers == columns(RIGHT)).mean() > 0.9
    assert one.c in GRIDS[one.features]
    assert set(one.scores) == {ALONE, BESIDE}


@pytest.mark.thorough
def test_the_features_are_those_that_the_validation_rows_favour(encoder: Encoder) -> None:
    train, judged = labelled(encoder, TRAIN, LABELS), labelled(encoder, JUDGED, RIGHT)
    noise = np.random.default_rng(3).normal(size=(90, 32)).astype(np.float32)
    blind = LabelledTexts(texts=train.texts, vectors=noise[:60], labels=LABELS)
    validation = LabelledTexts(texts=judged.texts, vectors=noise[60:], labels=RIGHT)
    found = linear_answers(blind, validation, validation, folds=FOLDS, seed=7)

    assert found.features == BESIDE
    assert found.scores[BESIDE] > found.scores[ALONE]


@pytest.mark.thorough
def test_the_asked_rows_decide_nothing(encoder: Encoder) -> None:
    train, judged = labelled(encoder, TRAIN, LABELS), labelled(encoder, JUDGED, RIGHT)
    wrong = np.where(RIGHT == "positive", "negative", "positive")
    found = linear_answers(train, None, judged, folds=FOLDS, seed=7)
    again = linear_answers(train, None, labelled(encoder, JUDGED, wrong), folds=FOLDS, seed=7)

    assert (found.features, found.c, found.scores) == (again.features, again.c, again.scores)
    assert found.answers.tolist() == again.answers.tolist()


@pytest.mark.thorough
def test_rows_without_a_fold_train_and_choose_nothing(encoder: Encoder) -> None:
    train, judged = labelled(encoder, TRAIN, LABELS), labelled(encoder, JUDGED, RIGHT)
    some = [fold if place < 40 else -1 for place, fold in enumerate(FOLDS)]
    found = linear_answers(train, None, judged, folds=some, seed=7)
    part = train.part(np.arange(40))
    alone = linear_answers(part, None, judged, folds=FOLDS[:40], seed=7)

    assert found.scores == alone.scores


def test_where_no_row_has_a_fold_it_is_the_least_c(encoder: Encoder) -> None:
    train, judged = labelled(encoder, TRAIN, LABELS), labelled(encoder, JUDGED, RIGHT)
    found = linear_answers(train, None, judged, folds=[-1] * len(TRAIN), seed=7)

    assert (found.features, found.c) == (ALONE, GRIDS[ALONE][0])
    assert found.scores == {ALONE: 0.0, BESIDE: 0.0}
    assert len(found.answers) == len(JUDGED)


def test_the_encoder_is_tuned_to_one_label_or_several_and_twice_the_same(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "RATE", 5e-3)  # random weights have far to go
    texts, asked = [text for text, _ in TRAIN], [text for text, _ in JUDGED]
    before = encoder.vectors(asked[:2], Quiet()).copy()
    one, again = (tune(encoder, texts, LABELS, seed=7, progress=Quiet()) for _ in range(2))
    answers, repeated = one.answers(asked), again.answers(asked)
    encoder.precision = "bf16"
    many = tune(encoder, texts, columns(LABELS), seed=7, progress=Quiet()).answers(asked)
    encoder._known.clear()

    assert (answers == RIGHT).mean() > 0.9
    assert answers.tolist() == repeated.tolist()
    assert (many == columns(RIGHT)).mean() > 0.9
    assert (one.epochs, one.steps) == (10, 40)
    assert np.array_equal(encoder.vectors(asked[:2], Quiet()), before)


@pytest.mark.parametrize(
    ("texts", "labels"), [(["good", "bad"], ["a", "a"]), ([" ", "\n"], ["a", "b"])]
)
def test_rows_that_teach_nothing_are_refused(
    texts: list[str], labels: list[str], encoder: Encoder
) -> None:
    given = labelled(encoder, list(zip(texts, labels, strict=True)), np.array(labels))

    with pytest.raises(StageError, match="G522"):
        linear_answers(given, None, given, folds=[0, 1], seed=7)
    with pytest.raises(StageError, match="G522"):
        tune(encoder, texts, np.array(labels), seed=7, progress=Quiet())
