"""What is looked at of a base model before it is loaded, where its configuration is odd."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import Severity, StageError
from engine.runtime.models import base_check
from engine.runtime.models.base_check import check_base, is_trained, token_row
from engine.runtime.models.base_model import write_tokenizer
from engine.runtime.models.merge import copy_beside
from engine.runtime.models.model_files import bending, settings_problems
from engine.runtime.models.weights import INDEX, weight_files
from engine.runtime.rendering.chat import load_chat
from support.clean_models import MODELS, make_clean_model
from support.pico import make_pico_model


def changed(folder: Path, **settings: Any) -> Path:
    make_pico_model(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | settings), encoding="utf-8")
    return folder


@pytest.mark.parametrize("token", [-1, -5, [1], "x"])
def test_a_padding_token_that_is_none_is_passed_over(tmp_path: Path, token: Any) -> None:
    try:
        base_check.check_base(changed(tmp_path, pad_token_id=token))
    except (
        StageError
    ) as error:  # what transformers does not take, and a row that only padding may leave empty
        assert {one.code for one in error.problems} <= {"X604", "X845"}  # noqa: PT017


def test_a_model_that_takes_long_to_build_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 layers of a model of two took a minute and 3 GB."""
    monkeypatch.setattr(base_check, "BUILD_SECONDS", 0.01)

    with pytest.raises(StageError, match="takes too long"):
        base_check.check_base(changed(tmp_path, num_hidden_layers=400))

    torch.device("meta").__enter__()  # as a build that is stopped within it
    base_check._leave_modes()
    assert torch.ones(1).device.type == "cpu"  # the stopped build left its mode


def test_a_row_of_zeros_is_reported_whatever_the_others_hold() -> None:
    rows = torch.eye(4, 32)
    rows[2] = 0

    (found,) = token_row(rows, 2, "<|end|>")

    assert "all zeros" in found.message
    assert [*token_row(rows, -1, "<|none|>"), *token_row(rows, 9, "<|none|>")] == []


def test_a_norm_without_numbers_is_passed_over(tmp_path: Path) -> None:
    folder = make_pico_model(tmp_path)
    path = folder / "model.safetensors"
    save_file({**load_file(path), "x.norm.weight": torch.zeros(0)}, path, {"format": "pt"})

    assert is_trained(folder) is False


# Settings that bend answers or contradict the tokenizer: named before training, and not exported.
def generation(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "generation_config.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize(
    ("settings", "odd"),
    [
        ({}, []),
        ({"repetition_penalty": 1.0, "num_beams": 1, "max_length": 4096}, []),
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20}, []),
        ({"do_sample": True, "temperature": 9.0}, ["temperature"]),
        ({"max_new_tokens": 4, "min_length": 3}, ["max_new_tokens", "min_length"]),
        ({"suppress_tokens": [2], "bad_words_ids": None}, ["suppress_tokens"]),
    ],
)
def test_what_bends_answers_is_found(settings: dict[str, object], odd: list[str]) -> None:
    assert bending(settings) == odd


def test_an_exported_model_generates_as_it_was_judged(tmp_path: Path) -> None:
    folder = make_pico_model(tmp_path / "base")
    path = folder / "generation_config.json"
    # An ordinary word and the end of a text, beside what bends and samples.
    bent = {"repetition_penalty": 5.0, "do_sample": True, "top_k": 3, "eos_token_id": [100, 0]}
    path.write_text(json.dumps({**generation(folder), **bent}), encoding="utf-8")

    write_tokenizer(folder, load_chat(folder), has_turns=True)

    kept = generation(folder)
    assert kept["eos_token_id"] == [0, 2]
    assert not bent.keys() - {"eos_token_id"} & kept.keys()


@pytest.mark.parametrize("name", MODELS)
def test_sound_models_are_not_suspected(tmp_path: Path, name: str) -> None:
    assert check_base(make_clean_model(tmp_path / "base", name)) == []


def test_the_set_of_weights_that_is_trained_is_the_one_that_is_merged(tmp_path: Path) -> None:
    folder = make_pico_model(tmp_path / "base")
    other = "model-00001-of-00001.safetensors"
    (folder / other).write_bytes((folder / "model.safetensors").read_bytes())
    names = [*load_file(folder / other)]
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, other)}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")

    copy_beside(folder, tmp_path / "out")

    assert [file.path.name for file in weight_files(folder)] == ["model.safetensors"]
    assert not (tmp_path / "out" / INDEX).exists()
    (problem,) = check_base(folder)
    assert (problem.code, problem.severity) == ("X843", Severity.WARNING)


GENERATION: tuple[dict[str, Any], ...] = (
    {"max_length": "x"},
    {"max_length": [1]},
    {"do_sample": True, "temperature": "hot"},
    {"stop_strings": "x" * 200_000},
)
CONFIG: tuple[dict[str, Any], ...] = (
    {"rope_parameters": [1]},
    {"rope_parameters": "x"},
    {"rope_theta": "x"},
    {"rope_theta": {"a": 1}},
)


class _Tokenizer:
    """Of ordinary tokens alone."""

    added_tokens_decoder: Mapping[int, str] = {}
    all_special_ids: Sequence[int] = ()

    def decode(self, tokens: Sequence[int]) -> str:
        return str(tokens)


@pytest.mark.parametrize("settings", [*GENERATION, *CONFIG], ids=lambda one: str(one)[:40])
def test_settings_of_another_type_are_no_bug(tmp_path: Path, settings: dict[str, Any]) -> None:
    name = "generation_config.json" if settings in GENERATION else "config.json"
    folder = make_pico_model(tmp_path)
    path = folder / name
    whole = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(whole | settings), encoding="utf-8")

    found = [*settings_problems(folder, _Tokenizer(), rows=256, built="LlamaForCausalLM")]

    assert all(one.code == "X842" and len(one.message) < 500 for one in found)
