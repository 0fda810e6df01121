"""One process sees one GPU: the first one, or the first that the user has named. `nvidia-smi` is played back here."""

import importlib.metadata
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import environment
from engine.environment import (
    Device,
    detect_device,
    devices_for,
    one_device,
    restrict_to,
    version_of,
)
from engine.errors import EnvironmentProblem
from support.paths import ROOT
from support.processors import VARIABLE, every_processor

GPUS = """\
GPU-aaaa1111-0000, NVIDIA RTX A6000, 49140, 8.6
GPU-bbbb2222-0000, NVIDIA A100-SXM4-40GB, 40960, 8.0
GPU-cccc3333-0000, Tesla T4, 15360, 7.5
"""
LISTED = """\
GPU 0: NVIDIA RTX A6000 (UUID: GPU-aaaa1111-0000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb2222-0000)
  MIG 3g.20gb     Device  0: (UUID: MIG-11112222-0000)
  MIG 1g.5gb      Device  1: (UUID: MIG-33334444-0000)
"""
CPU = Device(kind="cpu", name="a CPU", memory_bytes=1, cores=1, bf16=False)

Detect = Callable[[str | None], Device]


@pytest.fixture
def detect(monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Detect on a machine with three GPUs."""
    monkeypatch.setattr(environment, "_smi", lambda *words: LISTED if words == ("-L",) else GPUS)

    def detect(visible: str | None) -> Device:
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return detect_device.__wrapped__()

    return detect


@pytest.mark.parametrize(
    ("visible", "name", "seen"),
    [
        (None, "NVIDIA RTX A6000", "GPU-aaaa1111-0000"),
        ("1", "NVIDIA A100-SXM4-40GB", "1"),
        ("2,0", "Tesla T4", "2"),
        (" 1 , 2", "NVIDIA A100-SXM4-40GB", "1"),
        ("GPU-cccc", "Tesla T4", "GPU-cccc"),
        ("GPU-bbbb2222-0000,GPU-aaaa1111-0000", "NVIDIA A100-SXM4-40GB", "GPU-bbbb2222-0000"),
        ("MIG-33334444-0000", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", "MIG-33334444-0000"),
    ],
)
def test_the_device_is_the_first_gpu_that_may_be_seen(
    detect: Detect, visible: str | None, name: str, seen: str
) -> None:
    device = detect(visible)

    assert (device.kind, device.name, device.visible) == ("cuda", name, seen)


def test_memory_and_bf16_are_those_of_the_gpu_that_is_seen(detect: Detect) -> None:
    device = detect("2")

    assert (device.memory_bytes >> 20, device.bf16) == (15360, False)


def test_a_gpu_without_memory_of_its_own_has_the_machines(
    detect: Detect, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = "GPU-dddd4444-0000, NVIDIA GB10, [N/A], 12.1\n"
    monkeypatch.setattr(environment, "_smi", lambda *_: shares)

    device = detect(None)

    assert (device.kind, device.name, device.bf16) == ("cuda", "NVIDIA GB10", True)
    assert device.memory_bytes == environment._memory()


def test_gpus_are_seen_by_either_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    linux, windows = tmp_path / "nvidiactl", tmp_path / "dxg"
    monkeypatch.setattr(environment, "DRIVERS", (linux, windows))
    monkeypatch.setattr(environment, "_answer_of", lambda *_, **__: GPUS)

    assert environment._smi("-L") == ""
    windows.touch()
    assert environment._smi("-L") == GPUS


def test_a_part_of_a_gpu_has_memory_of_its_own(detect: Detect) -> None:
    assert detect("MIG-33334444-0000").memory_bytes == 5 << 30


@pytest.mark.parametrize("visible", ["", "-1", "7", "GPU-dddd", "MIG-dddd", "none"])
def test_no_gpu_that_may_be_seen_is_the_cpu(detect: Detect, visible: str) -> None:
    assert detect(visible).kind != "cuda"


def test_a_process_sees_the_gpu_that_was_detected(detect: Detect) -> None:
    device = detect(None)

    assert one_device(device, {}) == {"CUDA_VISIBLE_DEVICES": "GPU-aaaa1111-0000"}


def test_of_several_named_gpus_of_any_maker_the_first_one_is_seen(detect: Detect) -> None:
    device = detect("2,0")
    named = {
        "CUDA_VISIBLE_DEVICES": "2,0",
        "HIP_VISIBLE_DEVICES": "1,0",
        "ROCR_VISIBLE_DEVICES": "3,4",
        "ZE_AFFINITY_MASK": "1,2",
    }

    assert list(one_device(device, named).values()) == ["2", "1", "3", "1"]


def test_this_process_is_restricted_too(detect: Detect) -> None:
    variables = {"CUDA_VISIBLE_DEVICES": "2,0", "PATH": "/bin"}

    restrict_to(detect("2,0"), variables)

    fixed = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert variables == {"CUDA_VISIBLE_DEVICES": "2", "PATH": "/bin", **fixed}

    variables = {"CUBLAS_WORKSPACE_CONFIG": ":16:8"}
    restrict_to(detect("2,0"), variables)

    assert variables["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_a_process_of_the_cpu_sees_no_gpu() -> None:
    assert one_device(CPU, {}) == {"CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize(
    ("visible", "count", "seen"),
    [
        (None, 2, ("GPU-aaaa1111-0000", "GPU-bbbb2222-0000")),
        ("2,0,1", 2, ("2", "0")),
        ("GPU-cccc, GPU-aaaa", 2, ("GPU-cccc", "GPU-aaaa")),
    ],
)
def test_each_process_gets_a_gpu_of_those_that_may_be_seen(
    detect: Detect, visible: str | None, count: int, seen: tuple[str, ...]
) -> None:
    variables = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}

    assert devices_for(detect(visible), count, variables) == seen


def test_more_processes_than_gpus_are_refused(detect: Detect) -> None:
    with pytest.raises(EnvironmentProblem) as refused:
        devices_for(detect("1"), 2, {"CUDA_VISIBLE_DEVICES": "1"})

    [problem] = refused.value.problems
    assert (problem.code, problem.message) == (
        "B431",
        "2 processes were asked for, one a GPU, and 1 GPU is in sight",
    )


def test_processes_of_a_cpu_have_no_gpu() -> None:
    assert devices_for(CPU, 8, {}) == ()


def test_every_extra_of_the_distribution_is_listed() -> None:
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert environment.EXTRAS.keys() == written["project"]["optional-dependencies"].keys() - {"all"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processors are chosen here")
def test_tests_that_have_every_processor_leave_the_others_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    mine, threads = os.sched_getaffinity(0), torch.get_num_threads()
    all_of_them = {*map(int, filter(None, os.environ.get(VARIABLE, "").split(",")))} | mine
    monkeypatch.setenv(VARIABLE, ",".join(map(str, all_of_them)))
    os.sched_setaffinity(0, {min(mine)})
    detect_device.cache_clear()
    try:
        with every_processor():
            assert detect_device().threads == torch.get_num_threads() == len(all_of_them)
        assert detect_device().threads == torch.get_num_threads() == 1
    finally:
        os.sched_setaffinity(0, mine)
        detect_device.cache_clear()
        torch.set_num_threads(threads)


def test_versions_are_those_that_the_standard_library_reads() -> None:
    installed = {one.metadata["Name"] for one in importlib.metadata.distributions()}

    found = {name: version_of(name) for name in installed}

    assert found == {name: importlib.metadata.version(name) for name in installed}


def test_a_version_in_the_description_is_not_that_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = tmp_path / "described-1.2.dist-info"
    described.mkdir()
    head = "Metadata-Version: 2.4\nName: described\nVersion: 1.2\n\nVersion: 9.9\n"
    (described / "METADATA").write_text(head, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    assert version_of("described") == "1.2"
