"""A folder that a user named for a result: written aside, and there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import RecipeError, StoreError
from engine.files.writing import make_folder, top_of


def require_absent(target: Path, *, code: str, option: str) -> None:
    """RecipeError `code` where something is in the place of a new folder."""
    if target.exists() or target.is_symlink():
        message = f"`{target}` is there already: nothing is overwritten"
        raise RecipeError.one(code, message, hint=f"name another folder with {option}")


@contextmanager
def new_folder(target: Path, *, code: str, option: str) -> Iterator[Path]:
    """Yield a folder that becomes `target` when the block ends, where nothing stood.

    `option` is what names another place. RecipeError, StoreError `code`: something stands there; it cannot be written.
    """
    require_absent(target, code=code, option=option)
    whole = Path(os.path.abspath(target))  # as written: resolving would follow links
    try:
        if (top := top_of(whole)) is None:
            whole.parent.mkdir(parents=True, exist_ok=True)
        else:
            make_folder(whole.parent, below=top)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name[:100]}.", dir=target.parent
        ) as place:
            folder = Path(place) / "folder"
            folder.mkdir()
            yield folder
            folder.rename(target)
    except OSError as error:
        message = f"cannot write `{target}`: {error.strerror or error}"
        raise StoreError.one(code, message, hint=f"name another folder with {option}") from error
