"""What the files beside an encoder say, and folders that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.recipe.model import PathRef
from engine.runtime.encoders.encoder import encoder_settings, load_encoder, locate_encoder
from engine.store import Store
from support.encoders import MODULES, make_tiny_encoder, sentence_files
from support.stage_bench import CPU, Quiet


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
