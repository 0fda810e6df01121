"""When the hub may be contacted: while something of it is fetched, with time limits, and at no other time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from engine.process.library_settings import CACHES, caches, take_out

CONNECT_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 15.0
"""Without a byte from the hub, whose library waits without end by itself."""
VARIABLES: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "USE_HUB_KERNELS": "NO"}
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What libraries read when they are imported; a value that the user has set stays."""
HUB_CACHES = frozenset(
    {
        *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ASSETS_CACHE", "HF_XET_CACHE"),
        *("HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_KERNELS_CACHE", "TRANSFORMERS_CACHE"),
        *("HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH", "XDG_CACHE_HOME"),
    }
)
"""The user's, where the hub's library keeps what it fetched; a relative one would be a folder of the project."""
_TRUE: Final = frozenset({"1", "ON", "YES", "TRUE"})


class _Wish:
    allows: bool | None = None


def go_offline() -> None:
    """Take libraries offline for the rest of the process, except within `fetching`; called before they are imported."""
    # Only at the first call: afterwards the variable holds our value, not the user's.
    if _Wish.allows is None:
        asked = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
        _Wish.allows = asked.upper() not in _TRUE
    os.environ.update(VARIABLES)


def quieten() -> None:
    """Set what libraries read at import, so that they are silent, offline, and cache in the user's own folders.

    What would have them compute otherwise is taken out.
    """
    take_out()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for name in {*HUB_CACHES, *CACHES}:
        if name in os.environ and not Path(os.environ[name]).is_absolute():
            del os.environ[name]
    for name, value in caches().items():
        if name not in HUB_CACHES:
            os.environ.setdefault(name, value)
    go_offline()


@contextlib.contextmanager
def fetching() -> Iterator[None]:
    """Let huggingface_hub speak to the hub, unless the user has HF_HUB_OFFLINE set."""
    import huggingface_hub as hub  # an extra, and slow to import
    from huggingface_hub import constants  # an extra, and slow to import
    from huggingface_hub.utils import _http  # the default client, whose hooks are kept

    # A factory that a program around the engine has set stays.
    if _http._GLOBAL_CLIENT_FACTORY is _http.default_client_factory:  # noqa: SLF001 - no public way to ask
        hub.set_client_factory(_limited_client)
    with _online(constants) if _Wish.allows else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def loading_rows() -> Iterator[None]:
    from datasets import config

    allows = _Wish.allows and "HF_DATASETS_OFFLINE" not in os.environ
    # It has a copy of the hub library's flag, made when datasets was imported.
    with fetching(), _online(config) if allows else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _online(library: Any) -> Iterator[None]:
    """Switch a library on: it reads the variable when it is imported, changing the environment comes too late."""
    before, library.HF_HUB_OFFLINE = library.HF_HUB_OFFLINE, False
    try:
        yield
    finally:
        library.HF_HUB_OFFLINE = before


def _limited_client() -> Any:
    from huggingface_hub.utils._http import default_client_factory  # the default client

    client = default_client_factory()
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "request": [*hooks.get("request", ()), _limit]}
    return client


def _limit(request: Any) -> None:
    """Set the limits that a request leaves open: the library asks for no limit where it forgets one."""
    given = request.extensions.get("timeout") or {}
    limits = dict.fromkeys(("connect", "pool"), CONNECT_SECONDS)
    limits |= dict.fromkeys(("read", "write"), SILENT_SECONDS)
    set_ones = {name: value for name, value in given.items() if value is not None}
    request.extensions = {**request.extensions, "timeout": {**limits, **set_ones}}
