"""What Axolotl is given on a GPU follows from the method, from shared starts, and from what is installed."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from engine.backends import axolotl, check_backend, load_backend
from engine.backends.base import CompileInputs
from engine.environment import Device
from engine.recipe.model import Preference
from engine.values import replace
from support.launches import CPU, make_recipe

GPU = Device(kind="cuda", name="a GPU", memory_bytes=80 << 30, cores=16, bf16=True)
ALL = ("liger-kernel", "flash-attn")
LOSS = "liger_fused_linear_cross_entropy"
DROPS: dict[str, Any] = {"dropout": 0.05, "max_length": 4096}
"""Rows that each drop out other units do not share their start."""


@pytest.fixture
def afresh() -> Iterator[None]:
    """Packages are looked for anew, and once more afterwards."""
    axolotl._importable.cache_clear()
    yield
    axolotl._importable.cache_clear()


def setting(
    kernels: tuple[str, ...] = ALL, precision: str = "bf16", device: Device = GPU
) -> CompileInputs:
    return CompileInputs(
        device=device, precision=precision, train_rows=40, validation_rows=8, kernels=kernels
    )


def compiled(given: CompileInputs, **method: Any) -> dict[str, Any]:
    text = axolotl.compile(make_recipe("axolotl", **method), given).text
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def own_plugins(config: dict[str, Any]) -> list[str]:
    return [name.rsplit(".", 1)[1] for name in config["plugins"] if name.startswith("axolotl.")]


@pytest.mark.parametrize("kind", ["lora", "qlora", "full"])
def test_rows_that_share_their_start_have_no_fused_loss_and_no_other_attention(kind: str) -> None:
    config = compiled(setting(), kind=kind, max_length=4096)

    assert own_plugins(config) == ["LigerPlugin"]
    assert config[LOSS] is False
    assert all(config[key] for key in axolotl.TOKENWISE)
    assert config["attn_implementation"] == "sdpa"


@pytest.mark.parametrize(
    ("kernels", "loss", "plugins"),
    [(ALL, True, ["LigerPlugin"]), (ALL[:1], True, ["LigerPlugin"]), ((), None, [])],
    ids=["all", "liger", "none"],
)
def test_plain_rows_have_the_fused_loss_where_it_is_installed(
    kernels: tuple[str, ...], loss: bool | None, plugins: list[str]
) -> None:
    config = compiled(setting(kernels), **DROPS)

    assert config.get(LOSS) is loss
    assert own_plugins(config) == plugins


def test_preferences_have_no_fused_loss() -> None:
    recipe = make_recipe("axolotl", preference=Preference(loss="dpo", beta=0.1))
    config = yaml.safe_load(axolotl.compile(recipe, setting()).text)

    assert own_plugins(config) == ["LigerPlugin"]
    assert config[LOSS] is False


def test_full_training_leaves_kernels_of_16_bits_out() -> None:
    recipe = make_recipe(
        "axolotl", kind="full", max_length=4096, overrides=[("neftune_noise_alpha", 5.0)]
    )
    config = yaml.safe_load(axolotl.compile(recipe, setting()).text)

    assert not config["bf16"]
    assert own_plugins(config) == ["LigerPlugin"]
    assert config[LOSS] is True
    assert config["attn_implementation"] == "sdpa"


@pytest.mark.parametrize(
    ("kind", "precision", "held", "plugins"),
    [
        ("lora", "bf16", (True, False), []),
        ("lora", "fp16", (False, True), []),
        ("qlora", "fp16", (False, True), []),
        ("full", "bf16", (False, False), ["MixedPrecision"]),
        ("full", "fp16", (False, False), ["MixedHalf"]),
        ("full", "fp32", (False, False), []),
    ],
)
def test_full_training_never_holds_weights_of_16_bits(
    kind: str, precision: str, held: tuple[bool, bool], plugins: list[str]
) -> None:
    config = compiled(setting((), precision), kind=kind)
    named = [name.rsplit(".", 1)[1] for name in config["plugins"]]

    assert (config["bf16"], config["fp16"]) == held
    assert [name for name in named if name.startswith("Mixed")] == plugins


@pytest.mark.parametrize(
    ("kernels", "max_length", "expected"),
    [(ALL, 4096, "flash_attention_2"), (ALL, 1024, "sdpa"), (ALL[:1], 4096, "sdpa")],
    ids=["long", "short", "not installed"],
)
def test_flash_attention_is_for_long_plain_rows(
    kernels: tuple[str, ...], max_length: int, expected: str
) -> None:
    config = compiled(setting(kernels), dropout=0.05, max_length=max_length)

    assert config["attn_implementation"] == expected


@pytest.mark.parametrize(
    "given",
    [
        setting(precision="fp32"),
        setting(precision="fp16"),
        setting(device=replace(GPU, bf16=False)),
        setting((), device=CPU),
        setting((), device=replace(CPU, kind="mps")),
    ],
    ids=["fp32", "fp16", "emulated bf16", "CPU", "Apple"],
)
def test_other_precisions_and_devices_get_no_kernels(given: CompileInputs) -> None:
    config = compiled(given, **DROPS)

    assert own_plugins(config) == []
    assert not [key for key in config if "liger" in key]
    assert (config["tf32"], config["optimizer"]) == (False, "adamw_torch_fused")


def test_no_package_is_looked_for_without_a_gpu() -> None:
    assert axolotl.kernels(CPU) == ()
    assert load_backend("trl").kernels(GPU) == ()


def test_every_line_of_a_gpu_says_why() -> None:
    lines = axolotl.compile(make_recipe("axolotl", **DROPS), setting()).lines
    reasons = {line.key: line.origin for line in lines}

    assert reasons[LOSS] == "default: no logits of all tokens are held"
    assert reasons["attn_implementation"].startswith("default: flash-attn is installed")


@pytest.mark.parametrize("key", [*axolotl.TOKENWISE, LOSS])
def test_kernels_can_be_switched_off_and_not_on(key: str) -> None:
    off, on = (make_recipe("axolotl", overrides=[(key, value)]) for value in (False, True))

    assert check_backend(off) == ()
    assert [problem.code for problem in check_backend(on)] == ["B407"]


@pytest.mark.usefixtures("afresh")
def test_kernels_need_a_c_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert "liger-kernel" not in axolotl.kernels(GPU)
