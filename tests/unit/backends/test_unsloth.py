"""What the Unsloth compiler emits and refuses, and what its environment has to be."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.backends import check_backend, check_environment, launches, load_backend, unsloth
from engine.backends.base import CompileInputs
from engine.environment import Device
from engine.errors import RecipeError
from engine.recipe.model import Preference
from engine.values import replace
from support.golden import Golden
from support.launches import CPU, make_recipe
from support.unsloth_stand_in import make_stand_in, stand_in

__all__ = ["stand_in"]
GPU = Device(kind="cuda", name="a GPU", memory_bytes=1 << 36, cores=16, bf16=True)
SETTINGS = {
    "cpu": CompileInputs(device=CPU, precision="fp32", train_rows=400, validation_rows=100),
    "gpu": CompileInputs(device=GPU, precision="bf16", train_rows=400, validation_rows=100),
}
CHECKPOINTED = {"gradient_checkpointing": True, "max_length": 4096}
CONFIGS: list[tuple[str, str, dict[str, Any]]] = [
    ("lora-cpu", "cpu", {}),
    ("full-cpu", "cpu", {"kind": "full", "learning_rate": 2e-5}),
    ("lora-gpu", "gpu", {"target_modules": "attention"}),
    ("qlora-gpu", "gpu", {**CHECKPOINTED, "kind": "qlora"}),
    ("full-gpu", "gpu", {**CHECKPOINTED, "kind": "full", "learning_rate": 2e-5}),
]


def compiled(setting: str, **method: Any) -> dict[str, Any]:
    text = unsloth.compile(make_recipe("unsloth", **method), SETTINGS[setting]).text
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize(("name", "setting", "method"), CONFIGS, ids=[case[0] for case in CONFIGS])
def test_the_compiled_config_is_the_reviewed_one(
    name: str, setting: str, method: dict[str, Any], golden: Golden
) -> None:
    text = unsloth.compile(make_recipe("unsloth", **method), SETTINGS[setting]).text

    golden(f"unsloth/{name}.yaml", text)


def test_rows_are_neither_packed_nor_laid_behind_each_other_on_a_gpu() -> None:
    found = compiled("gpu")

    assert (found["packing"], found["padding_free"]) == (False, False)
    assert "shared_prefix" not in found


@pytest.mark.parametrize(("setting", "kept"), [("cpu", True), ("gpu", "unsloth")])
def test_gradient_checkpointing_is_unsloths_own_on_a_gpu(setting: str, kept: Any) -> None:
    assert compiled(setting)["use_gradient_checkpointing"] is False
    assert compiled(setting, gradient_checkpointing=True)["use_gradient_checkpointing"] == kept


def test_dropout_is_refused() -> None:
    recipe = make_recipe("unsloth", dropout=0.1)

    assert [problem.code for problem in check_backend(recipe)] == ["B441"]
    with pytest.raises(RecipeError, match="B441"):
        unsloth.compile(recipe, SETTINGS["cpu"])


def test_preferences_are_refused() -> None:
    preference = Preference(loss="dpo", beta=0.1)

    found = check_backend(make_recipe("unsloth", preference=preference))

    assert [problem.code for problem in found] == ["B443"]


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("output_dir", "/", "B404"),
        ("fast_inference", True, "B404"),
        ("use_gradient_checkpointing", "unsloth", "B405"),
        ("optim", "adamw_torch", "B407"),
    ],
)
def test_what_a_recipe_may_not_override_is_refused(key: str, value: Any, code: str) -> None:
    recipe = make_recipe("unsloth", overrides=[(key, value)])

    assert [problem.code for problem in check_backend(recipe)] == [code]


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("device", "key", "value", "codes"),
    [
        (CPU, "optim", "adamw_8bit", ["B442"]),
        (GPU, "optim", "adamw_8bit", []),
        (CPU, "attn_implementation", "eager", []),
        (GPU, "attn_implementation", "eager", ["B442"]),
        (replace(CPU, kind="mps"), "optim", "sgd", ["B442"]),
    ],
)
def test_what_unsloth_would_replace_in_silence_is_refused(
    device: Device, key: str, value: str, codes: list[str]
) -> None:
    recipe = make_recipe("unsloth", overrides=[(key, value)])

    assert [problem.code for problem in check_environment(recipe, device)] == codes


@pytest.mark.usefixtures("stand_in")
def test_bf16_that_unsloth_would_not_compute_in_is_refused() -> None:
    recipe = make_recipe("unsloth", precision="bf16")

    (problem,) = check_environment(recipe, CPU)

    assert (problem.code, problem.severity) == ("B410", "error")


def test_without_an_environment_the_commands_that_make_one_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UNSLOTH_PYTHON", raising=False)

    (problem,) = check_environment(make_recipe("unsloth"), CPU)

    assert problem.code == "B440"
    assert "uv venv" in (problem.hint or "")
    assert f"uv pip install --python ~/unsloth/bin/python unsloth=={unsloth.PINNED}" in (
        problem.hint or ""
    )
    assert unsloth.version() is None
    assert problem.message in unsloth.environment_words()


@pytest.mark.parametrize(
    ("packages", "code"),
    [({"unsloth": "2025.7.2"}, "B403"), ({"python": "3.11.9"}, "B440")],
)
def test_another_version_than_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: dict[str, str], code: str
) -> None:
    monkeypatch.setenv("UNSLOTH_PYTHON", str(make_stand_in(tmp_path / "unsloth", **packages)))

    found = check_environment(make_recipe("unsloth"), CPU)

    assert [problem.code for problem in found] == [code]


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n"])
def test_what_is_no_python_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    other = tmp_path / "python"
    other.write_text(text, encoding="utf-8")
    other.chmod(0o755)
    monkeypatch.setenv("UNSLOTH_PYTHON", str(other))

    (problem,) = check_environment(make_recipe("unsloth"), CPU)

    assert problem.code == "B440"
    assert "is no Python" in problem.message


def test_the_environment_is_named_with_its_version(stand_in: Path) -> None:
    assert unsloth.version() == unsloth.PINNED
    assert unsloth.environment_words() == (
        f"unsloth {unsloth.PINNED} on Python 3.13.5, in {stand_in}"
    )


@pytest.mark.parametrize(
    ("device", "name"), [(CPU, "UNSLOTH_FORCE_CPU"), (GPU, "UNSLOTH_DISABLE_CPU_FALLBACK")]
)
def test_nothing_is_sent_and_the_device_is_the_planned_one(device: Device, name: str) -> None:
    assert launches.unsloth_variables(device) == {
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "UNSLOTH_SKIP_TORCHVISION_CHECK": "1",
        name: "1",
    }


def test_the_backend_is_found_by_its_name() -> None:
    assert load_backend("unsloth") is unsloth
