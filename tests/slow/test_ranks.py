"""Two real processes of one training on the CPU (torchrun, gloo): who reports, what is reported, and what they leave.

There is no launcher of several processes in the engine; this holds the parts that any launcher will stand on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.backends.trainer_state import checkpoints, is_complete
from support.launches import make_launch, make_recipe
from support.paths import ROOT, TESTS
from support.pico import make_pico_model

pytestmark = pytest.mark.slow

RANK = """
import json, os, sys
from pathlib import Path
import yaml
from support.launches import CPU
from engine.runtime.training.sft import Folders, train

rows, base, output, config = map(Path, sys.argv[1:])
events = output / f"events.{os.environ['RANK']}.jsonl"
def tell(event):
    with events.open("a") as stream:
        stream.write(json.dumps(event) + chr(10))
settings = yaml.safe_load(config.read_text())
settings["gradient_accumulation_steps"] //= 2
train(settings, Folders(rows=rows, base_model=base, output=output, resume=None), device=CPU, report=tell)
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training by two processes left."""
    folder = tmp_path_factory.mktemp("ranks")
    base = make_pico_model(folder / "base")
    launch = make_launch(make_recipe("trl", micro_batch_size=2), folder, base)
    script, config, output = folder / "rank.py", folder / "config.yaml", folder / "output"
    script.write_text(RANK, encoding="utf-8")
    config.write_text(launch.config, encoding="utf-8")
    output.mkdir()
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
    ]
    subprocess.run(
        [*command, str(script), str(launch.rows), str(base), str(output), str(config)],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}",
            "OMP_NUM_THREADS": "1",
        },
        check=True,
        capture_output=True,
        timeout=500,
    )
    return output


def events_of(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.0.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_only_the_first_process_tells(output: Path) -> None:
    assert [path.name for path in output.glob("events.*")] == ["events.0.jsonl"]
    assert sum(event["event"] == "step" for event in events_of(output)) == 6


def test_the_start_says_two_processes_and_the_rows_of_a_step_of_both(output: Path) -> None:
    start = next(event for event in events_of(output) if event["event"] == "start")

    assert (start["world_size"], start["rows_per_step"], start["steps"]) == (2, 8, 6)


def test_rows_share_their_common_start_in_both(output: Path) -> None:
    (shared,) = (event for event in events_of(output) if event["event"] == "shared_prefix")

    assert shared["used"], shared


def test_their_checkpoints_are_whole_and_have_digests_of_every_part(output: Path) -> None:
    found = checkpoints(output)
    parts = {path.name for path in found[-1][1].iterdir()}

    assert [step for step, _ in found] == [3, 6]
    assert {"rng_state_0.pth", "rng_state_1.pth", "digests.json"} <= parts
    assert all(is_complete(path) for _, path in found)
    assert "rng_state_1.pth" in (found[-1][1] / "digests.json").read_text(encoding="utf-8")
