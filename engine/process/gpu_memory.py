"""Memory of a GPU that this process holds for later, and that another process cannot have meanwhile."""

from __future__ import annotations

import gc
import sys
from typing import Any


def give_back() -> None:
    """Give back what torch keeps of a GPU; nothing where it was not imported, or has used none."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        # A trainer and its model refer to each other, and are let go of here.
        gc.collect()
        torch.cuda.empty_cache()
