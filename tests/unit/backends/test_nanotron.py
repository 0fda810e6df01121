"""What the Nanotron compiler emits and refuses; its maker's own parser reads it where `NANOTRON_PYTHON` has one."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.backends import check_backend, check_environment, nanotron
from engine.backends.base import CompileInputs
from engine.backends.checks import vocabulary
from engine.errors import RecipeError
from engine.recipe.model import FewerLayers, HubRef, NewTokenizer, PathRef, Recipe, Scratch, Task
from engine.recipe.validation.schema import schema_text
from engine.values import replace
from support.golden import Golden
from support.launches import CPU, TASK, make_recipe

REAL = os.environ.get("NANOTRON_PYTHON")
SETTING = CompileInputs(
    device=replace(CPU, kind="cuda", bf16=True),
    precision="bf16",
    train_rows=4000,
    validation_rows=100,
)
BLANK = Scratch(
    layers=6,
    width=192,
    heads=6,
    kv_heads=3,
    feed_forward=512,
    context=128,
    seed=7,
    tokenizer=NewTokenizer(size=512),
)
TEXT: Task = replace(TASK, kind="text", labels=(), instruction="", input="")
LLAMA = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "max_position_embeddings": 8192,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
    "vocab_size": 49152,
}
PARSE = """
import importlib.abc, importlib.machinery, sys, types

class Anything(types.ModuleType):
    __path__, __version__ = [], "2.6.3"
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})

class Stub(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("flash_attn", "grouped_gemm"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return Anything(spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Stub())
from nanotron.config import get_config_from_dict
import yaml
given = yaml.safe_load(open(sys.argv[1]))
read = get_config_from_dict(given)
print(type(read.model.model_config).__name__, read.global_batch_size)
"""


def recipe_of(base: Any = BLANK, overrides: Any = (), **method: Any) -> Recipe:
    method = {"kind": "full", "keep": "last", "early_stopping": None, **method}
    recipe = make_recipe("nanotron", overrides=overrides, **method)
    return replace(recipe, task=TEXT, base_model=base)


def folder_of(folder: Path, **changes: Any) -> PathRef:
    (folder / "config.json").write_text(json.dumps({**LLAMA, **changes}), encoding="utf-8")
    return PathRef(path=folder, written="models/llama")


def listing() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema_text(f"nanotron/{nanotron.PINNED}.keys.json"))
    keys: dict[str, Any] = found["keys"]
    return keys


def places(data: Any, at: str = "") -> list[str]:
    """Every place in a YAML, as the list of keys names it."""
    if isinstance(data, list):
        return [one for entry in data for one in places(entry, f"{at.removesuffix('.')}[].")]
    found = []
    for key, value in data.items() if isinstance(data, dict) else ():
        found += [f"{at}{key}", *places(value, f"{at}{key}.")]
    return found


def test_the_config_of_a_blank_model_is_the_reviewed_one(golden: Golden) -> None:
    golden("nanotron/blank.yaml", nanotron.compile(recipe_of(), SETTING).text)


def test_the_config_of_a_trained_llama_is_the_reviewed_one(tmp_path: Path, golden: Golden) -> None:
    recipe = recipe_of(folder_of(tmp_path), scheduler="constant", gradient_checkpointing=True)

    golden("nanotron/llama.yaml", nanotron.compile(recipe, SETTING).text)


def test_only_keys_that_nanotron_has_are_emitted_each_with_an_origin(tmp_path: Path) -> None:
    known = listing()
    for base in (BLANK, folder_of(tmp_path)):
        config = nanotron.compile(recipe_of(base), SETTING)
        found = places(yaml.safe_load(config.text))

        assert set(found) <= set(known)
        of_model = [one for one in found if one.startswith("model.model_config.")]
        assert all("LlamaConfig" in known[one]["of"] for one in of_model)
        assert all(line.origin for line in config.lines)
        assert nanotron.compile(recipe_of(base), SETTING) == config


def test_a_blank_model_begins_with_weights_of_its_own_seed(tmp_path: Path) -> None:
    blank, trained = (
        yaml.safe_load(nanotron.compile(recipe_of(base, seed=3), SETTING).text)
        for base in (BLANK, folder_of(tmp_path))
    )

    assert (blank["general"]["seed"], trained["general"]["seed"]) == (BLANK.seed, 3)
    assert [one["data_stages"][0]["data"]["seed"] for one in (blank, trained)] == [3, 3]


def test_every_list_of_keys_is_within_nanotrons() -> None:
    keys = vocabulary("nanotron", nanotron.PINNED)

    assert keys.overridable | set(keys.from_recipe) | set(keys.ranges) <= set(listing())
    assert not keys.overridable & set(keys.from_recipe)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"kind": "lora"}, "method.kind"),
        ({"keep": "best"}, "method.keep"),
    ],
)
def test_what_of_a_method_it_does_not_do_is_refused(change: dict[str, Any], path: str) -> None:
    recipe = recipe_of(**change)

    assert [(problem.code, problem.path) for problem in check_backend(recipe)] == [("B445", path)]
    with pytest.raises(RecipeError, match="B445"):
        nanotron.compile(recipe, SETTING)


@pytest.mark.parametrize(
    "base", [HubRef(repo="owner/model"), FewerLayers(of=HubRef(repo="owner/model"), keep_layers=3)]
)
def test_a_base_model_whose_shape_is_not_at_hand_is_refused(base: Any) -> None:
    (problem,) = check_backend(recipe_of(base))

    assert (problem.code, problem.path) == ("B445", "base_model")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model_type": "gemma3"}, "model_type gemma3"),
        ({"vocab_size": None}, "no vocab_size"),
        ({"attention_bias": True}, "biases"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "scaled positions"),
        ({"head_dim": 128}, "heads of another width"),
    ],
)
def test_a_model_that_nanotrons_llama_is_not_is_refused(
    tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    (problem,) = check_backend(recipe_of(folder_of(tmp_path, **change)))

    assert word in problem.message


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("optimizer.clip_gradd", 1.0, "B404"),
        ("tokens.train_steps", 5, "B405"),
        ("s3_upload.upload_s3_path", "s3://bucket", "B406"),
        ("parallelism.tp", 0, "B407"),
    ],
)
def test_a_bad_override_is_refused(key: str, value: Any, code: str) -> None:
    found = check_backend(recipe_of(overrides=[(key, value)]))

    assert [problem.code for problem in found] == [code]


def test_an_override_stands_at_its_place() -> None:
    found = nanotron.compile(recipe_of(overrides=[("parallelism.tp", 2)]), SETTING)

    assert yaml.safe_load(found.text)["parallelism"]["tp"] == 2


def test_it_is_never_started_here() -> None:
    (problem,) = check_environment(recipe_of(), CPU)

    assert (problem.code, problem.severity) == ("B444", "error")


@pytest.mark.skipif(REAL is None, reason="NANOTRON_PYTHON names no environment with Nanotron")
def test_nanotrons_own_parser_reads_it_and_refuses_what_is_not_in_its_list(tmp_path: Path) -> None:
    (tmp_path / "llama").mkdir()
    for base in (BLANK, folder_of(tmp_path / "llama")):
        config = tmp_path / "config.yaml"
        data = yaml.safe_load(nanotron.compile(recipe_of(base), SETTING).text)
        # The size of a vocabulary is read from the token files, which are not there.
        data["data_stages"][0]["data"]["dataset"] |= {
            "tokenizer_name": "tokenizer",
            "vocab_size": data["model"]["model_config"]["vocab_size"],
        }
        config.write_text(yaml.safe_dump(data), encoding="utf-8")
        assert _parsed(config).stdout.split() == ["LlamaConfig", "8"]

        config.write_text(yaml.safe_dump({**data, "typo": {}}), encoding="utf-8")
        assert "typo" in _parsed(config).stderr


def _parsed(config: Path) -> subprocess.CompletedProcess[str]:
    command = [str(REAL), "-I", "-c", PARSE, str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
