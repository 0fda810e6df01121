"""The config of one of several processes, and what refuses them before anything is trained."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from engine import environment
from engine.backends import launches, load_backend, nodes, process_training, ray_child
from engine.backends.base import CompileInputs, Launch
from engine.backends.checks import check_ranks
from engine.backends.nodes import FILE, assigned
from engine.compute.profile import Ranks
from engine.environment import Device, detect_device
from engine.recipe.model import Preference
from engine.values import replace
from support.launches import CPU, RecordedProgress, make_recipe
from support.paths import ROOT
from support.shared_trainings import TRAINING

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


# Shares of a training on Ray: what it has no room for, or loses, ends with a word of it and an exit code.
class LostError(Exception):
    """As Ray's own errors are."""


def ray_that(
    *, has_room: bool, fails: Exception | None = None, asked: list[Any] | None = None
) -> Any:
    """Stands for the package: its calls, none of its processes; bundles and tasks are written to `asked`."""
    asked = [] if asked is None else asked

    def get(_: object) -> Any:
        if fails is not None:
            raise fails
        return "127.0.0.1:1"

    group = SimpleNamespace(wait=lambda _seconds: has_room)
    task = SimpleNamespace(remote=lambda *_: None)
    strategies = SimpleNamespace(PlacementGroupSchedulingStrategy=lambda *_, **__: None)

    def placed(bundles: Any, **_: Any) -> Any:
        asked.extend(bundles)
        return group

    def options(**given: Any) -> Any:
        asked.append(given)
        return task

    util = SimpleNamespace(placement_group=placed, scheduling_strategies=strategies)
    return SimpleNamespace(
        util=util,
        exceptions=SimpleNamespace(RayError=LostError),
        remote=lambda _: SimpleNamespace(options=options),
        get=get,
    )


def never() -> None:
    raise AssertionError("it has begun")


def test_where_there_is_no_room_it_ends_with_a_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        ray_child._run(ray_that(has_room=False), tmp_path, TRAINING, is_local=False, begun=never)

    assert ended.value.code == 1
    assert (
        "no room on Ray within 60 seconds for 2 machines with 1 CPU each" in capsys.readouterr().err
    )


def test_a_machine_that_is_lost_before_the_first_process_ends_it_as_a_later_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = ray_that(has_room=True, fails=LostError("it died\nthe node is gone"))
    with pytest.raises(SystemExit) as ended:
        ray_child._run(ray, tmp_path, TRAINING, is_local=False, begun=never)

    assert ended.value.code == 1
    assert (
        "Ray lost a machine or a process of the training: the node is gone"
        in capsys.readouterr().err
    )
    assert (tmp_path / nodes.END).exists()


def test_a_task_asks_for_what_its_bundle_has(tmp_path: Path) -> None:
    asked = list[Any]()
    ray = ray_that(has_room=True, fails=LostError("it died"), asked=asked)
    training = replace(TRAINING, has_gpus=True, ranks=8)
    with pytest.raises(SystemExit):
        ray_child._run(ray, tmp_path, training, is_local=False, begun=never)

    bundle, *_, task = asked
    # Ray's own, of each task: `ray._common.ray_option_utils`.
    wanted = {"num_cpus": 1, "num_gpus": 0, **task}
    assert wanted["num_gpus"] == bundle["GPU"] == 8
    assert wanted["num_cpus"] <= bundle.get("CPU", 0)


UNREACHABLE = """
import time, sys, types
ray = sys.modules["ray"] = types.ModuleType("ray")
ray.init = lambda **_: time.sleep(600)
from engine.backends import nodes, ray_child
ray_child.BEGIN_SECONDS = 0.2
ray_child.read_json, ray_child.from_json = (lambda _: None), (lambda *_: None)
ray_child.main(".", "192.0.2.1:6379")
"""


def test_a_ray_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNREACHABLE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr == "no room on Ray within 0.2 seconds: it does not answer\n"


# Trainings that several machines share: each has a folder of its own.
def test_variants_that_are_trained_at_the_same_time_share_no_folder(tmp_path: Path) -> None:
    # two counted the folders before either made its own: the second finds the number taken
    (tmp_path / "training-1").mkdir()

    with assigned(tmp_path, TRAINING) as one, assigned(tmp_path, TRAINING) as other:
        found = sorted(path.parent.name for path in tmp_path.glob(f"training-*/{FILE}"))

    assert found == sorted([one.name, other.name])
    assert found == ["training-2", "training-3"]


def test_one_process_alone_has_no_group() -> None:
    alone = replace(TRAINING, ranks=1, nodes=1)

    assert alone.group(0).name == nodes.CHILD
    assert alone.group(0).arguments == TRAINING.arguments
    assert TRAINING.group(0).name == "engine.process.rank_group"


def test_each_machine_names_its_own_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "GPU-1111, NVIDIA H100, 81559, 9.0\nGPU-2222, NVIDIA H100, 81559, 9.0\n"
    monkeypatch.setattr(environment, "_smi", lambda *_: here)
    monkeypatch.setattr(nodes, "detect_device", detect_device.__wrapped__)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    training = replace(
        TRAINING, ranks=2, has_gpus=True, variables={"CUDA_VISIBLE_DEVICES": "GPU-aaaa,GPU-bbbb"}
    )

    assert nodes._own_gpus(TRAINING) == {}
    assert nodes._own_gpus(training) == {"CUDA_VISIBLE_DEVICES": "GPU-1111,GPU-2222"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert nodes._own_gpus(training) == {"CUDA_VISIBLE_DEVICES": "1,0"}
