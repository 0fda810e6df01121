"""What a model folder may hold: data. Whatever a library would import, fetch or run is refused before one reads it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.runtime.models.model_files import (
    MOST_TOKENS,
    findings,
    require_data,
    require_settings,
    require_vocabulary,
    without_code,
)

CODE: dict[str, Any] = {
    "auto_map": {"AutoConfig": "configuration.Evil"},
    "auto_mapping": {"base_model_class": "x", "parent_library": "evil"},
    "custom_pipelines": {"x": {"impl": "evil.Evil"}},
    "custom_generate": "org/repo",
    "trust_remote_code": True,
    "attn_implementation": "org/kernel",
    "_attn_implementation": "org/kernel:function",
    "_attn_implementation_internal": "org/kernel",
    "kernel_config": {"RMSNorm": "org/kernel:RMSNorm"},
    "quantization_config": {"quant_method": "quark"},
    "tokenizer_class": "evil.Evil",
    "processor_class": "org/repo--evil.Evil",
    "image_processor_type": "../evil",
    "feature_extractor_type": "a.b",
    "architectures": ["evil.Evil"],
    "model_type": "../../evil",
    "megatron_config": {"x": 1},
}
FILES = (
    *("config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json"),
    *("preprocessor_config.json", "video_preprocessor_config.json", "chat_template.json"),
    *("added_tokens.json", "vision/config.json", "a/b/c/config.json"),
)


def _put(folder: Path, name: str, value: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _refused(folder: Path) -> str:
    with pytest.raises(StageError) as caught:
        require_data(folder)
    return caught.value.problems[0].code


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("key", CODE)
def test_a_setting_that_makes_libraries_run_code_is_refused_in_every_file(
    tmp_path: Path, name: str, key: str
) -> None:
    _put(tmp_path, name, {"a": 1, key: CODE[key]})

    assert _refused(tmp_path) == "X609"


@pytest.mark.parametrize("key", CODE)
def test_a_nested_setting_is_refused_too_and_taken_out_of_copies_of_ours(
    tmp_path: Path, key: str
) -> None:
    settings = {"text_config": {"layers": [{"x": 1}, {"deep": {key: CODE[key]}}]}, "kept": None}
    _put(tmp_path, "config.json", settings)

    assert _refused(tmp_path) == "X609"
    assert without_code(settings) == {
        "text_config": {"layers": [{"x": 1}, {"deep": {}}]},
        "kept": None,
    }


HARMLESS: dict[str, Any] = {
    "auto_map": None,
    "auto_mapping": {},
    "trust_remote_code": False,
    "attn_implementation": "sdpa",
    "quantization_config": {"quant_method": "bitsandbytes"},
    "tokenizer_class": "Qwen2TokenizerFast",
    "architectures": ["LlamaForCausalLM"],
    "model_type": "gpt-neox",
    "megatron_config": None,
    "megatron_core": "megatron.core",
}


def test_what_models_usually_say_is_let_through(tmp_path: Path) -> None:
    _put(tmp_path, "config.json", HARMLESS)
    _put(tmp_path, "tokenizer.json", {"auto_map": "a word of the vocabulary"})

    assert require_data(tmp_path) == tmp_path
    assert list(findings(HARMLESS)) == []


@pytest.mark.parametrize(
    "name",
    ["modeling_x.py", "sub/modeling.py", "custom_generate/generate.py", "adapter_config.json"],
)
def test_code_or_an_adapter_beside_a_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()

    assert _refused(tmp_path) == "X691"


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "null", "[]", "3", "{", "", "\xff"]
)
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "x.index.json"])
def test_a_settings_file_that_is_none_is_reported_at_once(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))

    assert _refused(tmp_path) == "X694"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "x.jinja"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)

    assert _refused(tmp_path) == "X694"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("tokenizer.json", {"model": {"vocab": {"a": 0, "b": MOST_TOKENS}}}),
        ("tokenizer.json", {"model": {"vocab": {"a": -1}}}),
        ("tokenizer.json", {"model": {"vocab": {"a": 10**400}}}),
        ("tokenizer.json", {"added_tokens": [{"id": 10**9, "content": "x"}]}),
        ("vocab.json", {"a": 10**9}),
    ],
)
def test_a_token_with_a_number_beyond_reason_is_refused(
    name: str, written: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(json.dumps(written))

    with pytest.raises(StageError, match=f"X694.*{name}"):
        require_vocabulary(tmp_path)


@pytest.mark.parametrize(
    "written", [None, [], {"model": []}, {"added_tokens": 3, "model": {"vocab": [1]}}]
)
def test_what_is_no_vocabulary_is_left_to_who_reads_it(written: Any, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(written))
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": "x", "c": True}))

    require_vocabulary(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_hidden_layers", 100_000),
        ("num_hidden_layers", -1),
        ("n_layer", 10**30),
        ("num_labels", 10**9),
        ("num_local_experts", 10**6),
        ("head_dim", 10**9),
        ("num_attention_heads", 10**9),
    ],
)
def test_a_number_that_no_model_has_is_refused(tmp_path: Path, key: str, value: int) -> None:
    """As many labels took 18 GB in a library that counts them, as many layers minutes."""
    text = json.dumps({"text_config": {key: value}})
    (tmp_path / "config.json").write_text(text, encoding="utf-8")

    with pytest.raises(StageError, match=f"X694.*{key}"):
        require_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("special_tokens_map.json", {"tokenizer_file": "../private/tokenizer.json"}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["a", "../private/tokenizer.json"]}),
        ("tokenizer_config.json", {"vocab_file": "{private}"}),
    ],
)
def test_a_setting_that_leads_to_a_file_outside_is_refused(
    tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    private = tmp_path / "private" / "tokenizer.json"
    written = json.loads(json.dumps(settings).replace("{private}", str(private)))
    _put(tmp_path / "base", name, written)

    before = require_settings(tmp_path / "base")  # there is nothing: a path of who made the model
    _put(tmp_path / "private", "tokenizer.json", {})

    assert before
    assert _refused(tmp_path / "base") == "X609"
