"""What a verb that runs a recipe keeps of its user's rights while it does: the system, the project, the store, caches.

The verb and all that it starts lose the rest before the first stage: of the home folder they see what is named here.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.files.user import STORE_KEY, cache_folder, config_folder, packages_folder, state_folder
from engine.process import policies
from engine.process.confine import NONE, OPEN, Rights
from engine.process.start import bytecode_read, program

HUB_FOLDERS: Final = (
    *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE"),
    *("HF_ASSETS_CACHE", "HF_DATASETS_CACHE"),
)
HUB_CACHES: Final = HUB_FOLDERS[1:3]
TOOLS: Final = ("UNSLOTH_PYTHON",)
CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that say by which authorities servers are known."""
INDEXES: Final = ("NETRC", "PIP_CONFIG_FILE", "UV_CONFIG_FILE")
"""Variables that name files of settings and keys."""
FETCHING: Final = (".netrc", ".pip", ".config/pip", ".config/uv", ".cache/pip", ".cache/uv")
"""Of the home folder: where indexes are, and what they ask for."""


def rights_of_a_run(
    *,
    project: Iterable[Path],
    reads: Sequence[Path],
    writes: Iterable[Path],
    network: str = NONE,
    reads_hub: bool = False,
    variables: Mapping[str, str] = os.environ,
) -> Rights:
    """Return the rights of a run; `project` are the folders whose files it may read, hidden names left out.

    `network` is OPEN where it fetches or asks a server by itself, and LOOPBACK where it starts what opens sockets to
    itself: what is taken from this process no child of it can have. `reads_hub`: another process fetches, and it reads
    what that leaves in the caches of the hub.
    """
    is_remote = network == OPEN
    base = policies.base_rights()
    home = Path(os.path.expanduser("~"))  # `Path.home` fails for a user without one
    tops = [folder.resolve() for folder in project]
    read = [*("/etc", "/run"), *map(str, _visible(tops)), *(str(path.resolve()) for path in reads)]
    read += [one for path in reads for one in policies.linked(path.resolve())]
    read += bytecode_read()
    read += [*_named_by((*CERTIFICATES, STORE_KEY), variables), *_own_settings()]
    read += [str(home / name) for name in FETCHING] if is_remote else []
    read += map(str, _hub_caches(variables, home)) if reads_hub else []
    hubs = _hub_folders(variables, home) if is_remote else ()
    kept = [Path(tempfile.gettempdir()), *writes, *_own_cache(), *hubs]
    tools = [place for name in TOOLS if (tool := variables.get(name)) for place in _places(tool)]
    own = variables.get("LLAMA_CPP_DIR")
    # Children map their user into a namespace by files of /proc.
    process = () if os.geteuid() == 0 else ("/proc",)
    return replace(
        base,
        execute=(*base.execute, *tools, *([own] if own else [])),
        read=(*base.read, *read),
        listed=(*base.listed, *map(str, tops)),
        write=(policies.SHARED_MEMORY, *(str(folder.resolve()) for folder in kept)),
        devices=(*policies.DEVICES, "/dev/tty", "/dev/pts", *policies.gpus(), *process),
        network=network,
        limits=policies.machine_limits(),
    )


def rights_of_fetching(
    root: Path, reads: Iterable[str], variables: Mapping[str, str] = os.environ
) -> Rights:
    """Return the rights of the process that fetches: the network, the caches of the hub, and the store in `root`.

    `reads` are files and folders that the user's settings of the package index name.
    """
    base = policies.base_rights()
    home = Path(os.path.expanduser("~"))
    named = _named_by((*CERTIFICATES, *INDEXES), variables)
    read = ("/etc", "/run", *(str(home / name) for name in FETCHING), *named, *reads)
    hubs = (str(one.resolve()) for one in _hub_folders(variables, home))
    return replace(
        base,
        read=(*base.read, *read),
        write=(str(root.resolve()), *_packages(), *hubs),
        devices=policies.DEVICES,
        network=OPEN,
    )


def _visible(tops: Iterable[Path]) -> Iterator[Path]:
    """Yield what stands in a folder under names without a dot in front: a project's `.git` and `.env` stay closed."""
    for top in tops:
        with contextlib.suppress(OSError):
            yield from (one for one in top.iterdir() if not one.name.startswith("."))


def _own_cache() -> Iterator[Path]:
    # A user without a home has none.
    with contextlib.suppress(RuntimeError):
        folder = cache_folder()
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield folder


def _packages() -> Iterator[str]:
    with contextlib.suppress(RuntimeError, OSError):
        folder = packages_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield str(folder.resolve())


def _own_settings() -> Iterator[str]:
    """Yield what is read of the user's own: consent and the key of the stores, settings; not the key that signs."""
    with contextlib.suppress(RuntimeError):
        yield str(state_folder())
        yield from map(str, config_folder().glob("*.yaml"))


def _hub_folders(variables: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield where models of the hub are kept, which all programs of the user share."""
    named = [Path(variables[name]) for name in HUB_FOLDERS if variables.get(name)]
    root = Path(variables.get("XDG_CACHE_HOME") or home / ".cache")
    for folder in (*named, root / "huggingface"):
        if folder.is_absolute():
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
            yield folder


def _named_by(names: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    return [found for name in names if os.path.isabs(found := variables.get(name, ""))]


def _hub_caches(variables: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield where fetched files of the hub lie, without what stands beside them: the user's token."""
    named = [Path(variables[name]) for name in HUB_CACHES if variables.get(name)]
    root = Path(variables.get("XDG_CACHE_HOME") or home / ".cache") / "huggingface"
    for folder in (*named, Path(variables.get("HF_HOME") or root) / "hub"):
        if folder.is_absolute():
            # What is not there yet could not be allowed.
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
            yield folder


def _places(tool: str) -> Iterator[str]:
    yield from policies.places_of(program(tool))
