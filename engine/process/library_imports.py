"""Libraries imported without a look for garbage meanwhile: of 6 s that torch, transformers, peft and trl take, 1 s.

Nearly all that a library makes while it is imported stays, and Python looks through it again each time that it has
grown by a quarter. Standard library only.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

LARGE: Final = frozenset(
    {
        *("torch", "transformers", "accelerate", "peft", "trl", "datasets", "bitsandbytes"),
        *("axolotl", "scipy", "sklearn", "numba", "pandas", "pyarrow", "onnxruntime", "vllm"),
    }
)
FIRST: Final = frozenset({"torch", "transformers"})
"""Imported before there is any model whose memory could be garbage: what stands then is never looked through again."""


class _Finder:
    """Finds modules of large libraries, as `sys.meta_path` asks for them, and has them executed without collection."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the path finder does, or None for a module of another library."""
        if name.partition(".")[0] not in LARGE:
            return None
        # Within another module's import nothing is collected already.
        found = PathFinder.find_spec(name, path) if gc.isenabled() else None
        if found is None or found.loader is None:
            return None
        execute = found.loader.exec_module

        def execute_uncollected(module: ModuleType) -> None:
            if not gc.isenabled():
                execute(module)
                return
            gc.disable()
            try:
                execute(module)
            finally:
                if name in FIRST:
                    gc.freeze()
                gc.enable()

        vars(found.loader)["exec_module"] = execute_uncollected
        return found


def import_quickly() -> None:
    """Collect no garbage while a module of a large library is imported; of use before the first one."""
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
