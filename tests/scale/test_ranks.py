"""Several real processes of one training on a CPU (gloo): they learn what one learns, are counted once, and go on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from engine.backends import load_backend
from engine.backends.base import Launch, Trained
from engine.backends.trainer_state import checkpoints, is_complete
from engine.compute.profile import Ranks
from engine.values import replace
from support.cluster_runs import WAIT_SECONDS, WEIGHTS, adapters, alone, on, pico_project, started
from support.launches import RecordedProgress, make_launch, make_recipe
from support.paths import ROOT
from support.pico import make_pico_model
from support.processes import ranks_of
from support.project import Project

pytestmark = [
    pytest.mark.scale,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]
COMPUTE = "compute: v1\nprofiles:\n  two: {processes: 2}\n  six: {processes: 6}\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, base: Path
) -> Callable[[str, int], tuple[Launch, Trained]]:
    """A training by a backend with so many processes, done once."""
    done: dict[tuple[str, int], tuple[Launch, Trained]] = {}

    def train(backend: str, processes: int) -> tuple[Launch, Trained]:
        if (backend, processes) not in done:
            folder = tmp_path_factory.mktemp(f"{backend}{processes}")
            launch = launch_of(backend, folder, base, Ranks(processes=processes))
            done[backend, processes] = launch, load_backend(backend).train(launch)
        return done[backend, processes]

    return train


def launch_of(backend: str, folder: Path, base: Path, ranks: Ranks) -> Launch:
    launch = make_launch(make_recipe(backend, early_stopping=None, keep="last"), folder, base)
    return replace(launch, ranks=ranks)


def bytes_of(trained: Trained) -> bytes:
    return (trained.folder / WEIGHTS).read_bytes()


def losses(trained: Trained) -> list[float]:
    return [point.loss for point in trained.history if point.loss is not None]


def events_of(launch: Launch, name: str = "events.jsonl") -> list[dict[str, Any]]:
    lines = (launch.folder / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("backend", ["trl", pytest.param("axolotl", marks=pytest.mark.thorough)])
def test_two_processes_train_the_bytes_of_one(backend: str, trained: Any) -> None:
    (_, one), (launch, two) = trained(backend, 1), trained(backend, 2)

    assert bytes_of(two) == bytes_of(one)
    assert losses(two) == losses(one)
    assert (two.facts["world_size"], two.facts["rows_per_step"]) == (2, 8)
    assert two.facts["shared_prefix"]["used"]
    assert (launch.folder / "config.yaml").read_text(encoding="utf-8") == launch.config


@pytest.mark.parametrize("backend", ["trl", pytest.param("axolotl", marks=pytest.mark.thorough)])
def test_what_happens_is_counted_once_and_each_process_says_what_it_took(
    backend: str, trained: Any
) -> None:
    launch, two = trained(backend, 2)
    kinds = [event["event"] for event in events_of(launch)]
    other = {event["event"] for event in events_of(launch, "events.1.jsonl")}

    assert (kinds.count("step"), kinds.count("start")) == (6, 1)
    assert two.usage.steps.count == 5
    assert {"start", "still", "end"} <= other
    assert two.usage.others_cpu_seconds > 0


def test_their_checkpoints_are_whole_and_one_without_a_rank_is_not(trained: Any) -> None:
    launch, _ = trained("trl", 2)
    found = checkpoints(launch.folder / "output")

    assert [step for step, _ in found] == [3, 6]
    assert all(is_complete(path) for _, path in found)
    state = found[0][1] / "rng_state_1.pth"
    kept = state.read_bytes()
    state.unlink()
    assert not is_complete(found[0][1])
    state.write_bytes(kept)


@pytest.mark.thorough
def test_four_processes_learn_the_same_up_to_rounding(trained: Any) -> None:
    (_, one), (_, four) = trained("trl", 1), trained("trl", 4)
    expected, found = (load_file(one.folder / WEIGHTS) for one in (one, four))

    assert losses(four) == pytest.approx(losses(one), rel=1e-4)
    apart = sum(float((expected[name] - found[name]).square().sum()) for name in expected)
    size = sum(float(weight.square().sum()) for weight in expected.values())
    assert (apart / size) ** 0.5 <= 1e-4


class EndsOne(RecordedProgress):
    """Progress during which one of the processes is killed, once."""

    killed = 0

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        if unit == "step" and done >= 4 and not self.killed:
            self.killed = ranks_of(os.getpid())[1]
            os.kill(self.killed, signal.SIGKILL)


def test_a_training_whose_process_is_killed_goes_on_by_itself_to_the_same_bytes(
    tmp_path: Path, base: Path, trained: Any
) -> None:
    launch = launch_of("trl", tmp_path, base, Ranks(processes=2, retries=1))
    progress = EndsOne()
    launch = replace(launch, progress=progress)

    again = load_backend("trl").train(launch)

    assert progress.killed
    assert any("was killed by SIGKILL" in note for note in progress.notes)
    # The training may have come one checkpoint further before the signal reached it.
    assert again.resumed_from_step in (3, 6)
    assert bytes_of(again) == bytes_of(trained("trl", 1)[1])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return pico_project(tmp_path, COMPUTE, {})


def test_a_run_on_two_processes_that_is_asked_to_end_saves_says_so_and_goes_on(
    project: Project,
) -> None:
    words = ("run", "recipe.yaml", "--until", "train", *on("two"))
    process = started(project.folder, {}, *words)
    step = wait_for_step(project.folder, 5, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 143, errors
    (run,) = (project.folder / ".recipe" / "runs" / "tiny").iterdir()
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["outcome"] == "interrupted"
    (output,) = (project.folder / ".recipe" / "scratch").glob("*/output")
    assert checkpoints(output)[-1][0] >= step - 2

    resumed = project.run(*words)
    assert resumed.code == 0, resumed.err
    assert "continuing from step" in resumed.err
    assert adapters(project.folder) == adapters(alone().folder) != []


def wait_for_step(folder: Path, step: int, process: subprocess.Popen[str]) -> int:
    """Wait until a training has done so many steps, and return how many it has done."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = [path.read_text("utf-8") for path in folder.glob(".recipe/scratch/*/events.jsonl")]
        lines = [line for text in found for line in text.splitlines(keepends=True)]
        # The last line may be one that is being written.
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        done = max((one["step"] for one in events if one["event"] == "step"), default=0)
        if done >= step:
            return int(done)
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate()[1])


def test_a_batch_that_cannot_be_shared_is_refused_before_torch_is_imported(
    project: Project,
) -> None:
    words = ["run", "recipe.yaml", *on("six")]
    script = f"import sys; from engine.cli.main import main; print(main({words})); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["2", "False"]
    assert "batch_size 8 runs on 1, 2, 4 or 8 processes, not 6" in done.stderr
    assert not (project.folder / ".recipe").exists()
