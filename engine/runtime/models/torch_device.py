"""Where torch computes: on the device that was found without it, if its build and the driver let it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import torch

from engine.environment import Device
from engine.errors import EnvironmentProblem, first_line

FEWEST: Final = 8
"""Lengths are multiples of so many tokens at least."""
PART: Final = 16


def filling_of(tokens: int) -> int:
    """Return how many tokens are put behind a pass, less than a sixteenth of it, so that many are of one length."""
    step = 1 << max((tokens // PART).bit_length() - 1, 0)
    return -tokens % max(FEWEST, step)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute by this thread alone. Not in two threads at once: what is started meanwhile has one thread for good."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def in_64_bits(numbers: torch.Tensor) -> torch.Tensor:
    """Return numbers in 64 bits where they are; those of an Apple GPU, which has none so wide, on the processor."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()


HIDE = 'hide the GPU (CUDA_VISIBLE_DEVICES="") to use the processor'


def torch_device(device: Device) -> torch.device:
    """Return the device as torch names it. EnvironmentProblem B435 for a GPU that torch cannot use."""
    if device.kind == "cuda" and not torch.cuda.is_available():
        raise EnvironmentProblem.one(
            "B435",
            f"torch {torch.__version__} cannot use the {device.name or 'GPU'} that is here: {_reason()}",
            hint=f"install a torch with CUDA that the driver knows, or {HIDE}",
        )
    return torch.device(device.kind)


def _reason() -> str:
    if torch.version.cuda is None:
        return "it is built without CUDA"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return first_line(error)
    return "it finds no GPU"
