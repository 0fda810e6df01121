"""Numbers in 64 bits, for sums that lose digits in fewer."""

from __future__ import annotations

import torch


def in_64_bits(numbers: torch.Tensor) -> torch.Tensor:
    """Return numbers in 64 bits where they are; those of an Apple GPU, which has none so wide, on the processor."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()
