"""The user's own folders, outside every project: what is kept there cannot have come with a stranger's folder."""

import os
from pathlib import Path
from typing import Final

NAME: Final = "slm-recipe"
STORE_KEY: Final = "SLM_RECIPE_STORE_KEY_FILE"
"""Variable that names the key of the stores, where machines share one."""


def config_folder() -> Path:
    """Return where the user's own settings stand: keys for signing, prices."""
    return _folder("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """Return where the engine keeps what it knows of this user and machine: consent, the key of the stores."""
    return _folder("XDG_STATE_HOME", ".local/state")


def cache_folder() -> Path:
    return _folder("XDG_CACHE_HOME", ".cache")


def packages_folder() -> Path:
    """Return where archives of packages are kept, for all projects. RuntimeError for a user without a home folder."""
    # beside the cache and not in it: a run, which may write there, could leave a file that nobody can read to its end
    return cache_folder().with_name(f"{NAME}-packages")


def bytecode_folder() -> Path:
    # beside the cache and not in it: all runs import it, so none may write it
    return cache_folder().with_name(f"{NAME}-bytecode")


def _folder(variable: str, beside_home: str) -> Path:
    configured = Path(os.environ.get(variable, ""))
    # A relative one would be a folder of whatever project one stands in; the XDG specification says to ignore it.
    root = configured if configured.is_absolute() else Path.home() / beside_home
    return root / NAME
