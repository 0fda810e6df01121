"""Loops compiled by numba, whose cache is unpickled: it is the user's own, wherever one stands.

numba reads `.numba_config.yaml` of the current folder when it is imported and again at every compilation, and such a
file can name another cache. It is imported in an empty folder and then given the name of a file that does not exist.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from engine.process.library_settings import caches
from engine.process.start import working_folder

if TYPE_CHECKING:
    from types import ModuleType


def _import_numba() -> ModuleType:
    os.environ.update({name: caches()[name] for name in ("NUMBA_CACHE_LOCATOR_CLASSES",)})
    given = os.environ.get("NUMBA_CACHE_DIR", "")
    # A relative folder would be one of the project's, and the index that numba unpickles there somebody else's.
    if not Path(given).is_absolute():
        os.environ["NUMBA_CACHE_DIR"] = caches()["NUMBA_CACHE_DIR"]
    with working_folder() as empty, chdir(empty):
        import numba  # after its settings, and away from those of a project
    numba.core.config._config_fname = os.devnull  # noqa: SLF001 - no setting says where it is looked for
    return cast("ModuleType", numba)


_numba = _import_numba()


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Return the function compiled on first use, kept on disk where the user's cache can be written."""
    try:
        # Without the GIL, as batches are compared in several threads.
        return cast("F", _numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba finds no folder that it may write
        return cast("F", _numba.njit(nogil=True)(function))
