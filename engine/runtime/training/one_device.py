"""One process takes one device, and takes it whole.

With several GPUs in sight transformers would multiply the batch by them; and Axolotl would leave layers that a GPU has
no room for to the processor, without a word.
"""

from __future__ import annotations

from typing import Any

import torch


class OneDevice:
    """Put before a class of training arguments."""

    @property
    def n_gpu(self) -> int:
        """One GPU, or none."""
        arguments: Any = super()
        return min(1, int(arguments.n_gpu))


def whole_on_gpu(places: Any) -> Any:
    """Return where weights are put: all on the GPU where `auto` would divide them, which is slow beyond use."""
    if places == "auto" and torch.cuda.is_available():
        return {"": torch.cuda.current_device()}
    return places
