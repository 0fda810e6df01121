"""A GPU that torch does not reach is named, with the reason, before a model is moved there."""

from typing import NoReturn

import pytest
import torch

from engine.environment import Device
from engine.errors import EnvironmentProblem
from engine.runtime.models.load import torch_device

GPU = Device(kind="cuda", name="Tesla T4", memory_bytes=1, cores=1, bf16=False)
CPU = Device(kind="cpu", name="a CPU", memory_bytes=1, cores=1, bf16=False)


def old_driver() -> NoReturn:
    raise RuntimeError("The NVIDIA driver on your system is too old\nPlease update it")


def refusal() -> str:
    with pytest.raises(EnvironmentProblem) as refused:
        torch_device(GPU)
    (problem,) = refused.value.problems
    assert problem.code == "B435"
    return problem.message


def test_a_torch_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)

    assert refusal().endswith("cannot use the Tesla T4 that is here: it is built without CUDA")


def test_so_is_a_driver_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", old_driver)

    assert refusal().endswith("here: The NVIDIA driver on your system is too old")


def test_what_torch_reaches_is_what_it_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert (torch_device(GPU), torch_device(CPU)) == (torch.device("cuda"), torch.device("cpu"))
