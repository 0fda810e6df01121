"""Vectors of texts: pooled as the encoder says, whatever else is in the batch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import RobertaConfig, RobertaModel, T5Config, T5Model

from engine.errors import EngineError, StageError
from engine.recipe.model import PathRef
from engine.runtime.encoders import classifiers as linear
from engine.runtime.encoders.classifiers import (
    ALONE,
    BESIDE,
    GRIDS,
    LabelledTexts,
    linear_answers,
    tune,
)
from engine.runtime.encoders.encoder import Encoder, encoder_settings, load_encoder, locate_encoder
from engine.runtime.encoders.pooling import batches
from engine.store import Store
from support.encoders import MODULES, make_tiny_encoder, sentence_files
from support.project import rows
from support.stage_bench import CPU, Quiet

TEXTS = ["the film was good", "bad", "the plot was lovely and the cast awful", "a b c"]


def loaded(folder: Path, **files: Any) -> Encoder:
    return load_encoder(
        make_tiny_encoder(folder / "encoder", **files), device=CPU, precision="fp32"
    )


@pytest.mark.parametrize("mode", ["mean_tokens", "cls_token", "max_tokens", "lasttoken"])
def test_a_text_has_one_vector_whatever_stands_beside_it(mode: str, tmp_path: Path) -> None:
    files = sentence_files(pooling={f"pooling_mode_{mode}": True})
    together = loaded(tmp_path, **files).vectors(TEXTS, Quiet())
    alone = [loaded(tmp_path, **files).vectors([text], Quiet())[0] for text in TEXTS]

    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_the_mean_is_that_of_the_models_own_states(tmp_path: Path) -> None:
    encoder = loaded(tmp_path)
    with torch.inference_mode():
        states = encoder.model(**encoder.tokens([TEXTS[0]])).last_hidden_state[0]
    mean = states.mean(dim=0).numpy()

    assert np.allclose(
        encoder.vectors(TEXTS[:1], Quiet())[0], mean / np.linalg.norm(mean), atol=1e-5
    )


def test_a_prompt_is_read_and_counts_only_where_the_encoder_says_so(tmp_path: Path) -> None:
    prompt = {"config_sentence_transformers": {"prompts": {"classification": "the cast "}}}
    plain = loaded(tmp_path).vectors(["was bad"], Quiet())
    counted = loaded(tmp_path / "counted", **prompt).vectors(["was bad"], Quiet())
    whole = loaded(tmp_path).vectors(["the cast was bad"], Quiet())
    only_read = loaded(
        tmp_path / "read", **prompt, **sentence_files(pooling={"include_prompt": False})
    ).vectors(["was bad"], Quiet())

    assert np.allclose(counted, whole, atol=1e-5)
    assert not np.allclose(only_read, counted, atol=1e-3)
    assert not np.allclose(only_read, plain, atol=1e-3)


def test_a_long_text_is_cut_and_no_text_is_no_vector(tmp_path: Path) -> None:
    encoder = loaded(tmp_path)
    vectors = encoder.vectors(["good " * 500, "good " * 62], Quiet())

    assert np.allclose(vectors[0], vectors[1], atol=1e-5)
    assert encoder.vectors([], Quiet()).shape == (0, 32)


def test_a_long_text_is_cut_to_the_positions_behind_that_of_the_padding(tmp_path: Path) -> None:
    folder = make_tiny_encoder(tmp_path / "encoder")
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    config = RobertaConfig(
        vocab_size=len(words), num_hidden_layers=1, max_position_embeddings=18, **sizes
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    encoder = load_encoder(folder, device=CPU, precision="fp32")
    longest, longer = (encoder.vectors(["good " * count], Quiet()) for count in (14, 40))

    assert encoder.settings.most_tokens == 16
    assert np.allclose(longest, longer, atol=1e-5)


def test_a_model_that_makes_no_vectors_is_refused(tmp_path: Path) -> None:
    folder = make_tiny_encoder(tmp_path / "encoder")
    config = T5Config(vocab_size=100, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1)
    T5Model(config).save_pretrained(folder)

    with pytest.raises(StageError, match=r"X696.*the encoder makes no vectors"):
        load_encoder(folder, device=CPU, precision="fp32")


def test_batches_hold_every_text_once_the_longest_first() -> None:
    texts = [length * "x" for length in (3, 9, 1, 9, 2)]

    assert list(batches(texts, 2)) == [[1, 3], [0, 4], [2]]


def test_words_of_another_language_are_no_words_to_the_tokenizer(tmp_path: Path) -> None:
    encoder = loaded(tmp_path)

    assert encoder.split_share(["the film was good", "bad 9, the plot"]) == 0
    assert encoder.split_share(["der film war gut"]) == 0.75
    assert encoder.split_share(["das фильм"]) == 1
    assert encoder.split_share(["12 !"]) == 0


# Classifiers on an encoder: what they learn, how they choose, the same answers twice.
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


# What the files beside an encoder say, and folders that cannot be used.
def test_without_files_of_its_own_the_mean_of_the_tokens_is_taken(tmp_path: Path) -> None:
    found = encoder_settings(make_tiny_encoder(tmp_path / "encoder"))

    assert (found.pooling, found.prompt, found.most_tokens, found.lower) == ("mean", "", 64, False)


@pytest.mark.parametrize(
    ("pooling", "mode"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True, "word_embedding_dimension": 32}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode": "cls"}, "cls"),
        ({}, "mean"),
    ],
)
def test_the_pooling_is_the_encoders_own(
    pooling: dict[str, Any], mode: str, tmp_path: Path
) -> None:
    folder = make_tiny_encoder(tmp_path / "encoder", **sentence_files(pooling=pooling))

    assert encoder_settings(folder).pooling == mode


def test_prompts_lengths_and_case_are_the_encoders_own(tmp_path: Path) -> None:
    files = {
        "sentence_bert_config": {"max_seq_length": 12, "do_lower_case": True},
        "config_sentence_transformers": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": "query",
        },
    }
    found = encoder_settings(make_tiny_encoder(tmp_path / "encoder", **files))

    assert (found.prompt, found.most_tokens, found.lower) == ("query: ", 12, True)


def test_a_prompt_for_classification_comes_first(tmp_path: Path) -> None:
    prompts = {
        "prompts": {"query": "q: ", "classification": "class: "},
        "default_prompt_name": "query",
    }
    folder = make_tiny_encoder(tmp_path / "encoder", config_sentence_transformers=prompts)

    assert encoder_settings(folder).prompt == "class: "


@pytest.mark.parametrize(
    ("modules", "pooling"),
    [
        ((*MODULES, "Dense"), {"pooling_mode_mean_tokens": True}),
        (MODULES, {"pooling_mode_weightedmean_tokens": True}),
        (MODULES, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}),
        (MODULES, {"pooling_mode": "mean_sqrt_len"}),
    ],
)
def test_what_is_not_understood_is_refused(
    modules: tuple[str, ...], pooling: dict[str, Any], tmp_path: Path
) -> None:
    folder = make_tiny_encoder(tmp_path / "encoder", **sentence_files(*modules, pooling=pooling))

    with pytest.raises(EngineError, match="X695"):
        encoder_settings(folder)


def lacks(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def holds(name: str, content: str) -> Any:
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lacks("config.json"), "X606"),
        (lacks("model.safetensors"), "X606"),
        (holds("model.safetensors", "nothing"), "X607"),
        (lacks("tokenizer.json"), "X696"),
        (holds("modules.json", "{"), "X694"),
        (holds("modeling.py", ""), "X691"),
        (holds("config.json", json.dumps({"model_type": "bert", "auto_map": {"a": "b"}})), "X609"),
        (holds("config.json", json.dumps({"model_type": "no-such-model"})), "X696"),
    ],
)
def test_a_broken_folder_is_refused_with_its_reason(damage: Any, code: str, tmp_path: Path) -> None:
    folder = make_tiny_encoder(tmp_path / "encoder")
    damage(folder)
    ref = PathRef(path=folder, written="encoder")

    with pytest.raises(EngineError) as raised:
        load_encoder(
            locate_encoder(ref, Store(tmp_path / "s").cached, Quiet()), device=CPU, precision="fp32"
        )

    assert [one.code for one in raised.value.problems] == [code]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"config_sentence_transformers": [1]}, "X694"),
        ({"config_sentence_transformers": "x"}, "X694"),
        ({"sentence_bert_config": [1]}, "X694"),
        ({"config_sentence_transformers": {"prompts": {"a": "b"}, "default_prompt_name": []}}, ""),
    ],
)
def test_settings_of_another_form_are_typed(tmp_path: Path, files: Any, code: str) -> None:
    folder = make_tiny_encoder(tmp_path / "encoder", **files)
    try:
        found = encoder_settings(folder).prompt
    except EngineError as error:
        found = error.problems[0].code

    assert found == code
