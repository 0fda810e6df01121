"""Where a shared store is, as its user names it: a folder, or a URL whose credentials are in the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from engine.errors import RecipeError
from engine.values import Value

VARIABLE: Final = "SLM_RECIPE_STORE_REMOTE"
BUCKETS: Final = ("s3", "gs", "az")
_HINT: Final = "name a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://ACCOUNT/CONTAINER"


class SharedPlace(Value):
    """A shared store's address; it holds no secret."""

    url: str
    folder: Path | None = None
    """Of a store that is a folder; absolute."""

    @property
    def is_bucket(self) -> bool:
        """Whether the network is needed to reach it."""
        return self.folder is None


def shared_place(named: str, *, path: str = "") -> SharedPlace:
    """Return the place that a text names; `path` is the key that it stands at, if any.

    Raises:
        RecipeError: R435 it is no address of a shared store; R436 it holds a secret, or an option.

    """
    text = named.strip()
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if not scheme:
        if not text:
            raise RecipeError.one("R435", "the shared store has no name", path=path, hint=_HINT)
        return _folder(text, path=path)
    try:
        parts = urlsplit(text)
        has_extra = bool(parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError as error:
        raise RecipeError.one("R435", f"no address: {error}", path=path, hint=_HINT) from error
    if has_extra:
        # not the text itself: it would show the secret in a terminal that is recorded
        raise RecipeError.one(
            "R436",
            f"the {scheme} address holds more than bucket and prefix (user, `?` or `#`)",
            path=path,
            hint="credentials and options come from the environment, such as AWS_ACCESS_KEY_ID",
        )
    if scheme == "file" and not parts.netloc:
        return _folder(unquote(parts.path), path=path)
    if scheme not in BUCKETS or not parts.netloc:
        raise RecipeError.one(
            "R435", f"`{text}` is no address of a shared store", path=path, hint=_HINT
        )
    return SharedPlace(url=f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}")


def _folder(named: str, *, path: str) -> SharedPlace:
    try:
        folder = Path(named).expanduser()
    except RuntimeError as error:  # the home of a user that is none
        raise RecipeError.one("R435", f"no folder: {error}", path=path, hint=_HINT) from error
    if "\0" in named:
        raise RecipeError.one("R435", "no folder: it holds a zero byte", path=path, hint=_HINT)
    # not resolved: a link is the user's own, since they named it
    absolute = Path(os.path.abspath(folder))
    return SharedPlace(url=absolute.as_uri(), folder=absolute)
