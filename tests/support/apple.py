"""Tensors that stand for those of an Apple GPU, which computes with 32 bits at most."""

from functools import cache
from typing import Any


def on_apple_gpu(tensor: Any) -> Any:
    """The same numbers there; what is computed of them is there, too."""
    return tensor.as_subclass(_kind())


@cache
def _kind() -> Any:
    import torch

    plain: Any = torch.Tensor

    class AppleTensor(plain):  # type: ignore[misc]
        @property
        def device(self) -> Any:
            return torch.device("mps")

        def double(self) -> Any:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

        def cpu(self) -> Any:
            return self.as_subclass(plain)

    return AppleTensor
