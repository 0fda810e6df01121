"""One process takes one device: with several GPUs in sight transformers would multiply the batch by them."""

from __future__ import annotations

from typing import Any


class OneDevice:
    """Put before a class of training arguments."""

    @property
    def n_gpu(self) -> int:
        """One GPU, or none."""
        arguments: Any = super()
        return min(1, int(arguments.n_gpu))
