"""Axolotl for real, on the CPU: the contract on a tiny model, and bf16 where the CPU has it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from contract.backend_suite import TrainSuite, finished
from contract.launches import CPU, make_launch, make_recipe
from pico import make_pico_model

from engine.backends import load_backend
from engine.environment import detect_device
from engine.runtime.trained import adapter_norm, model_norm

__all__ = ["finished"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def pico_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


class TestAxolotlTrains(TrainSuite):
    name = "axolotl"


def test_bf16_on_a_cpu_that_has_it_is_bf16_in_every_product(
    tmp_path: Path, pico_model: Path
) -> None:
    device = dataclasses.replace(detect_device(), cores=2)
    if device.kind != "cpu" or not device.bf16:
        pytest.skip("this machine has no CPU with bf16 to train on")
    recipe = make_recipe("axolotl", precision="bf16", epochs=1.0)

    trained = load_backend("axolotl").train(
        make_launch(recipe, tmp_path, pico_model, device=device)
    )

    assert trained.facts["product_dtype"] == "bfloat16"
    assert list(trained.facts["weights"]["frozen"]) == ["bfloat16"]
    assert list(trained.facts["weights"]["trainable"]) == ["float32"]
    assert (
        trained.facts["bf16"],
        trained.facts["device"],
        trained.facts["threads"],
    ) == (True, "cpu", 2)


def test_full_training_in_bf16_keeps_32_bit_weights(tmp_path: Path, pico_model: Path) -> None:
    device = dataclasses.replace(CPU, bf16=True)
    recipe = make_recipe("axolotl", kind="full", epochs=1.0, learning_rate=1e-4)

    trained = load_backend("axolotl").train(
        make_launch(recipe, tmp_path, pico_model, device=device)
    )

    assert list(trained.facts["weights"]["trainable"]) == ["float32"]
    assert trained.facts["product_dtype"] == "bfloat16"
    assert model_norm(trained.folder, pico_model) > 0


def test_qlora_trains_on_the_cpu(tmp_path: Path, pico_model: Path) -> None:
    recipe = make_recipe("axolotl", kind="qlora", epochs=1.0)

    trained = load_backend("axolotl").train(make_launch(recipe, tmp_path, pico_model))

    assert trained.facts["weights"]["frozen"]["nf4"] > 0
    assert adapter_norm(trained.folder) > 0


def test_when_the_engine_is_killed_axolotl_does_not_live_on() -> None:
    """The child binds itself to its parent before it imports anything heavy."""
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "'import sys, time; from engine.backends.axolotl_child import die_with; "
        "die_with(int(sys.argv[1])); print(1, flush=True); time.sleep(60)', str(os.getpid())],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    assert _is_gone(child)


def _is_gone(process: int) -> bool:
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{process}/status")
        if status.exists() and "State:\tZ" in status.read_text(encoding="utf-8"):
            return True
        time.sleep(0.05)
    return False
