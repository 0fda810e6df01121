"""Vectors of texts: pooled as the encoder says, whatever else is in the batch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import RobertaConfig, RobertaModel, T5Config, T5Model

from engine.errors import StageError
from engine.runtime.encoders.encoder import Encoder, load_encoder
from engine.runtime.encoders.pooling import batches
from support.encoders import make_tiny_encoder, sentence_files
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
