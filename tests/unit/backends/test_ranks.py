"""The config of one of several processes, and what refuses them before anything is trained."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.backends import launches, load_backend, process_training
from engine.backends.base import CompileInputs, Launch
from engine.backends.checks import check_ranks
from engine.compute.profile import Ranks
from engine.environment import Device
from engine.recipe.model import Preference
from engine.values import replace
from support.launches import CPU, RecordedProgress, make_recipe

GPU = Device(kind="cuda", name="a GPU", memory_bytes=1 << 34, cores=4, bf16=True, visible="GPU-aa")
SETTING = CompileInputs(device=CPU, precision="fp32", train_rows=24, validation_rows=8)
CONFIGS = {"trl": launches.config_of_ranks, "axolotl": launches.axolotl_ranks}


def launch_of(name: str, ranks: Ranks, *, device: Device = CPU) -> Launch:
    recipe = make_recipe(name)
    setting = replace(SETTING, device=device)
    return Launch(
        config=load_backend(name).compile(recipe, setting).text,
        rows=Path(),
        base_model=Path(),
        folder=Path(),
        method=recipe.method,
        setting=setting,
        progress=RecordedProgress(),
        ranks=ranks,
    )


def differences(name: str, ranks: Ranks) -> dict[str, tuple[Any, Any]]:
    launch = launch_of(name, ranks)
    one, other = yaml.safe_load(launch.config), CONFIGS[name](launch)
    return {
        key: (one.get(key), other.get(key))
        for key in [*one, *other]
        if one.get(key) != other.get(key)
    }


def test_trl_takes_fewer_passes_and_nothing_else_changes() -> None:
    assert differences("trl", Ranks(processes=2)) == {"gradient_accumulation_steps": (2, 1)}
    assert differences("trl", Ranks(processes=8)) == {
        "per_device_train_batch_size": (4, 1),
        "gradient_accumulation_steps": (2, 1),
    }


def test_axolotl_has_a_plugin_that_divides_by_the_tokens_of_all() -> None:
    found = differences("axolotl", Ranks(processes=2))

    one, several = found.pop("plugins")
    assert found == {"gradient_accumulation_steps": (2, 1)}
    assert several == [*one, "engine.runtime.axolotl_plugin.SeveralProcesses"]


@pytest.mark.parametrize("name", ["trl", "axolotl"])
def test_a_model_that_is_divided_has_plain_batches_and_whole_checkpoints(name: str) -> None:
    config = CONFIGS[name](launch_of(name, Ranks(processes=2, shard=True)))

    assert config["fsdp_config"]["state_dict_type"] == "FULL_STATE_DICT"
    assert "shared_prefix" not in config
    assert "engine.runtime.axolotl_plugin.SharePrefix" not in config.get("plugins", ())


@pytest.mark.parametrize(
    ("ranks", "seen"),
    [
        (Ranks(), "GPU-aa"),
        (Ranks(processes=2, devices=("GPU-aa", "GPU-bb")), "GPU-aa,GPU-bb"),
    ],
)
@pytest.mark.parametrize("name", ["trl", "axolotl"])
def test_a_child_sees_as_many_gpus_as_there_are_processes(
    name: str, ranks: Ranks, seen: str
) -> None:
    launch = launch_of(name, ranks, device=GPU)

    assert process_training.environment(launch, {})["CUDA_VISIBLE_DEVICES"] == seen


@pytest.mark.parametrize(("device", "imports"), [(CPU, "c.d"), (GPU, "-")])
def test_the_processes_are_children_of_one_that_starts_them(device: Any, imports: str) -> None:
    from engine.process.start import module

    program = process_training.TrainingProgram(
        tool="trl", command=lambda _: module("a.b"), variables={}, imports="c.d"
    )
    launch = launch_of("trl", Ranks(processes=4), device=device)
    command = process_training.of_ranks(launch, program, module("a.b")("x"))

    assert (command.name, command.arguments) == (
        "engine.process.rank_group",
        ("4", "0", "1", "-", imports, "a.b", "x"),
    )


@pytest.mark.parametrize(
    ("recipe", "device", "ranks", "codes"),
    [
        (make_recipe("trl"), CPU, Ranks(processes=2), []),
        (make_recipe("axolotl"), GPU, Ranks(processes=2, shard=True), []),
        (make_recipe("unsloth"), CPU, Ranks(processes=2), ["B433"]),
        (
            make_recipe("nanotron", preference=Preference(loss="dpo", beta=0.1)),
            CPU,
            Ranks(processes=2, shard=True),
            ["B433", "B433", "B434"],
        ),
    ],
)
def test_what_was_not_shown_to_learn_the_same_is_refused(
    recipe: Any, device: Device, ranks: Ranks, codes: list[str]
) -> None:
    assert [problem.code for problem in check_ranks(recipe, device, ranks)] == codes
