"""Memory of a GPU that this process holds for later, and that another process cannot have meanwhile."""

from __future__ import annotations

import gc
import sys
from typing import Any


def give_back() -> None:
    """Give back what torch keeps of a GPU; nothing where it was not imported, or has used none."""
    cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
    # Another thread may be importing it.
    has_used = getattr(cuda, "is_initialized", None)
    if has_used is not None and has_used():
        # A trainer and its model refer to each other, and are let go of here.
        gc.collect()
        cuda.empty_cache()
