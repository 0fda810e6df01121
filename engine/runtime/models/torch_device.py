"""Where torch computes: on the device that was found without it, if its build and the driver let it."""

from __future__ import annotations

import torch

from engine.environment import Device
from engine.errors import EnvironmentProblem, first_line

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
