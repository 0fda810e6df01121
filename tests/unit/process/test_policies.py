"""Limits of children grow with the machine, and a GPU's devices are there before anything is confined."""

import os
from pathlib import Path

import pytest

from engine.process import policies
from engine.process.policies import PROCESSES, rights_of
from engine.process.start import module


@pytest.mark.parametrize("cores", [2, 208])
def test_a_process_of_training_for_each_gpu_has_its_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)

    most = rights_of(module("x")).processes

    # torch, and the linear algebra of numpy and of scipy, which takes 64 at most, in each of eight processes.
    assert most >= max(PROCESSES if cores < 32 else 0, 8 * (cores + 2 * min(cores, 64)))


def test_a_device_that_cuda_would_make_is_made_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    devices, tools = tmp_path / "dev", tmp_path / "bin"
    devices.mkdir()
    tools.mkdir()
    helper = tools / "nvidia-modprobe"
    helper.write_text(f'#!/bin/sh\n[ "$*" = "-u -c 0" ] && : > {devices}/nvidia-uvm\n', "utf-8")
    helper.chmod(0o755)
    monkeypatch.setattr(policies, "DEV", devices)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    assert policies.gpus.__wrapped__() == ()
    (devices / "nvidiactl").touch()

    found = policies.gpus.__wrapped__()
    assert [Path(one).name for one in found] == ["nvidia-uvm", "nvidiactl"]
