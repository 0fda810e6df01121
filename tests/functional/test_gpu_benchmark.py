"""`benchmarks/gpu.py` on a machine without a GPU: it says so, and its code works on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT
from support.pico import make_pico_model

pytestmark = pytest.mark.thorough


def gpu_benchmark(work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--work", str(work), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = gpu_benchmark(tmp_path / "work")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("no NVIDIA GPU is seen here")
    assert not (tmp_path / "work").exists()


def test_a_path_is_measured_once_and_stands_in_table_and_file(tmp_path: Path) -> None:
    base = str(make_pico_model(tmp_path / "base"))
    words = ("--device", "cpu", "--only", "trl/lora", "--base", base, "--steps", "2")

    done = gpu_benchmark(tmp_path, *words)
    again = gpu_benchmark(tmp_path, *words)

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["jobs"]
    shared, plain = (found[f"trl/lora {way}"] for way in ("shared", "plain"))
    assert shared["shared_prefix"]["used"]
    assert plain["shared_prefix"] is None
    assert plain["steps"]["tokens"] > 2 * shared["steps"]["tokens"]
    assert all(one["peak_bytes"] > 0 and one["estimated_bytes"] > 0 for one in (shared, plain))
    tables = [out.stdout[out.stdout.index("| path") :] for out in (done, again)]
    assert tables[0] == tables[1]
    assert "| trl/lora |" in tables[0]
    assert "trl/lora shared: done before" in again.stdout
