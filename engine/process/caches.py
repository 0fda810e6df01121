"""Where libraries keep what they later import, unpickle or run: below the user's own cache folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from engine.files.user import cache_folder

CACHES: Final[Mapping[str, str]] = {
    "HF_HOME": "huggingface",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch-extensions",
    "TORCH_HOME": "torch",
    "TRITON_CACHE_DIR": "triton",
}
"""Where libraries keep what they later import, unpickle or run: below the user's own cache folder."""
CONFINED: Final = "confined"
"""Below it the same folders, for children that are confined: they write there, and nobody else reads it."""
NUMBA_LOCATORS: Final = "UserProvidedCacheLocator"
"""numba then keeps its cache in `NUMBA_CACHE_DIR` and looks for none beside the source or elsewhere."""


def caches() -> dict[str, str]:
    """Return the variables that put the caches of libraries into the user's own cache folder."""
    root = _cache_root()
    places = {name: str(root / folder) for name, folder in CACHES.items()}
    return {**places, "NUMBA_CACHE_LOCATOR_CLASSES": NUMBA_LOCATORS}


@cache
def _homeless_cache() -> Path:
    """Return a folder for this process alone: a user without a home has nowhere that is only theirs."""
    return Path(tempfile.mkdtemp(prefix="recipe-cache-"))


def _cache_root() -> Path:
    try:
        return cache_folder()
    except RuntimeError:
        return _homeless_cache()


def confined_cache() -> Path:
    """Return the folder of the caches that confined children share: what they leave, nobody else imports."""
    folder = _cache_root() / CONFINED
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder.resolve()


def confined_variables(folder: Path, cache: Path) -> dict[str, str]:
    """Return the variables that keep libraries in what is left to them."""
    own = {name: str(folder) for name in ("HOME", "TEMP", "TMP", "TMPDIR")}
    # Else they are looked up in the list of accounts.
    named = dict.fromkeys(("LOGNAME", "USER"), "recipe")
    places = {name: str(cache / part) for name, part in CACHES.items()}
    return {**named, **own, **places, "CUDA_CACHE_PATH": str(cache / "cuda")}
