"""Shares of a training on Ray: what it has no room for, or loses, ends with a word of it and an exit code."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends import nodes, ray_child
from engine.values import replace
from support.paths import ROOT
from support.shared_trainings import TRAINING


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
