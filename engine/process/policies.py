"""The rights that a run, the fetching process and every other child keep."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from engine.files.reading import (
    STORE_KEY,
    cache_folder,
    config_folder,
    packages_folder,
    state_folder,
)
from engine.process.confine import NONE, OPEN, Rights
from engine.process.start import Command, answer_of, bytecode_read, program

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
"""Files of the home folder that name indexes and hold their credentials."""


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
    base = base_rights()
    home = Path(os.path.expanduser("~"))  # `Path.home` fails for a user without one
    tops = [folder.resolve() for folder in project]
    read = [*("/etc", "/run"), *map(str, _visible(tops)), *(str(path.resolve()) for path in reads)]
    read += [one for path in reads for one in linked(path.resolve())]
    read += bytecode_read()
    read += [*_named_by((*CERTIFICATES, STORE_KEY), variables), *_own_settings()]
    read += [str(home / name) for name in FETCHING] if is_remote else []
    read += map(str, _hub_folders(variables, home, caches_only=True)) if reads_hub else []
    hubs = _hub_folders(variables, home) if is_remote else ()
    kept = [Path(tempfile.gettempdir()), *writes, *_made(cache_folder), *hubs]
    tools = [
        place
        for name in TOOLS
        if (tool := variables.get(name))
        for place in places_of(program(tool))
    ]
    own = variables.get("LLAMA_CPP_DIR")
    # Children map their user into a namespace by files of /proc.
    process = () if os.geteuid() == 0 else ("/proc",)
    return replace(
        base,
        execute=(*base.execute, *tools, *([own] if own else [])),
        read=(*base.read, *read),
        listed=(*base.listed, *map(str, tops)),
        write=(SHARED_MEMORY, *(str(folder.resolve()) for folder in kept)),
        devices=(*DEVICES, "/dev/tty", "/dev/pts", *gpus(), *process),
        network=network,
        limits=machine_limits(),
    )


def rights_of_fetching(
    root: Path, reads: Iterable[str], variables: Mapping[str, str] = os.environ
) -> Rights:
    """Return the rights of the process that fetches: the network, the caches of the hub, and the store in `root`.

    `reads` are files and folders that the user's settings of the package index name.
    """
    base = base_rights()
    home = Path(os.path.expanduser("~"))
    named = _named_by((*CERTIFICATES, *INDEXES), variables)
    read = ("/etc", "/run", *(str(home / name) for name in FETCHING), *named, *reads)
    hubs = (str(one.resolve()) for one in _hub_folders(variables, home))
    return replace(
        base,
        read=(*base.read, *read),
        write=(str(root.resolve()), *map(str, _made(packages_folder)), *hubs),
        devices=DEVICES,
        network=OPEN,
    )


def _visible(tops: Iterable[Path]) -> Iterator[Path]:
    """Yield what stands in a folder under names without a dot in front: a project's `.git` and `.env` stay closed."""
    for top in tops:
        with contextlib.suppress(OSError):
            yield from (one for one in top.iterdir() if not one.name.startswith("."))


def _made(folder: Callable[[], Path]) -> Iterator[Path]:
    """Yield a folder of the user's, once it is there; a user without a home has none."""
    with contextlib.suppress(RuntimeError):
        place = folder()
        # What is not there yet could not be allowed.
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield place.resolve()


def _own_settings() -> Iterator[str]:
    """Yield what is read of the user's own: consent and the key of the stores, settings; not the key that signs."""
    with contextlib.suppress(RuntimeError):
        yield str(state_folder())
        yield from map(str, config_folder().glob("*.yaml"))


def _named_by(names: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    return [found for name in names if os.path.isabs(found := variables.get(name, ""))]


def _hub_folders(
    variables: Mapping[str, str], home: Path, *, caches_only: bool = False
) -> Iterator[Path]:
    """Yield where models of the hub are kept, which all programs of the user share.

    `caches_only`: where fetched files lie, without what stands beside them: the user's token.
    """
    root = Path(variables.get("XDG_CACHE_HOME") or home / ".cache") / "huggingface"
    own = Path(variables.get("HF_HOME") or root) / "hub" if caches_only else root
    names = HUB_CACHES if caches_only else HUB_FOLDERS
    for folder in (*(Path(variables[name]) for name in names if variables.get(name)), own):
        if folder.is_absolute():
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
            yield folder


GIB: Final = 1 << 30
PACKAGE: Final = Path(__file__).resolve().parents[1]
SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt"),
    *("/nix/store", "/gnu/store", "/run/opengl-driver"),
)
"""Programs and libraries, by the places that distributions have for them."""
SETTINGS: Final = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/nsswitch.conf", "/etc/os-release", "/etc/mime.types", "/etc/OpenCL", "/etc/vulkan"),
    *("/proc", "/sys"),
)
"""Files of /etc that libraries read when they start; no accounts."""
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SHARED_MEMORY: Final = "/dev/shm"
"""joblib and torch share arrays there."""
DEV: Final = Path("/dev")
GPUS: Final = ("nvidia*", "dri", "kfd", "dxg")
"""Below /dev, by maker."""
PROCESSES, PROCESSES_PER_CORE = 2048, 64
"""And threads, of one child and what it starts: libraries of each process start one a core, some of them two."""
PER_CORE: Final = 64 << 20
"""Stacks and heaps of a thread."""


MEMORY: Final = (12, 16 * GIB)
"""Factor on the bytes that a child reads, and the bytes added, without files that it maps (RLIMIT_DATA)."""
FILE: Final = (12, 8 * GIB)
"""The same of the largest file that it may write (RLIMIT_FSIZE)."""


def rights_of(
    command: Command,
    *,
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
    network: str = NONE,
    uses_gpu: bool = False,
) -> Rights:
    """Return the rights of a child: it reads its inputs, writes its folders, and has no network.

    `network` is LOOPBACK for the processes of one training, and OPEN where they are on several machines. `uses_gpu`
    gives it the GPU, whose driver takes far more memory than a limit could allow.
    """
    given = [path.resolve() for path in reads]
    size = sum(map(_bytes, given))
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": FILE[0] * size + FILE[1]}
    if not (uses_gpu and gpus()):
        limits["RLIMIT_DATA"] = MEMORY[0] * size + MEMORY[1] + PER_CORE * (os.cpu_count() or 1)
    base = base_rights()
    return replace(
        base,
        execute=(*base.execute, *places_of(command)),
        read=(*base.read, *map(str, given), *(one for path in given for one in linked(path))),
        write=(SHARED_MEMORY, *(str(path.resolve()) for path in writes)),
        devices=(*DEVICES, *(gpus() if uses_gpu else ())),
        network=network,
        limits=limits,
        processes=max(PROCESSES, PROCESSES_PER_CORE * (os.cpu_count() or 1)),
    )


@cache
def base_rights() -> Rights:
    root = PACKAGE.parent
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    libraries = [*sys.path, *os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
    # The folder that holds this package may be a repository, of which no child needs more than these two.
    places = {one for one in (*prefixes, *libraries) if _is_library(one) and Path(one) != root}
    own = (str(PACKAGE), str(root / "schemas"))
    # Where a package is looked for, the names must be seen.
    return Rights(execute=(*SYSTEM, *own, *sorted(places)), read=SETTINGS, listed=(str(root),))


def _is_library(folder: str) -> bool:
    """Tell whether a folder of a search path may be read as a whole: not the home folder, nor one above it."""
    if not os.path.isabs(folder):
        return False
    home = Path(os.path.expanduser("~"))  # `Path.home` fails for a user without one
    return not home.is_relative_to(Path(folder))


def places_of(command: Command) -> Iterator[str]:
    if command.kind == "module":
        return
    for name in {Path(command.name), Path(command.name).resolve()}:
        yield str(name)
        if _is_library(str(name.parent)):
            yield str(name.parent)
        # A Python of another environment, and the one that this was made of.
        settings = name.parent.parent / "pyvenv.cfg"
        if command.kind == "program" and settings.is_file():
            yield str(name.parent.parent)
            for line in settings.read_text(encoding="utf-8", errors="replace").splitlines():
                key, _, value = line.partition("=")
                prefix = str(Path(value.strip()).parent)
                if key.strip() == "home" and _is_library(prefix):
                    yield prefix


def machine_limits() -> dict[str, int]:
    """Return the limits of a process that may take what the machine has, swap too, and no more.

    What asks for more is refused it (E740), where the kernel would end some process. Not where there is a GPU, whose
    driver maps far more than it takes.
    """
    if gpus():
        return {}
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = {
            name: int(rest.split()[0]) for name, _, rest in (one.partition(":") for one in lines)
        }
        return {"RLIMIT_DATA": (found["MemTotal"] + found["SwapTotal"]) << 10}
    except (OSError, ValueError, LookupError):
        return {}


@cache
def gpus() -> tuple[str, ...]:
    # CUDA has the driver's helper make its device, with root's rights; a confined process cannot start it so.
    if (DEV / "nvidiactl").exists() and not (DEV / "nvidia-uvm").exists():
        # Without it CUDA says what is missing.
        with contextlib.suppress(OSError):
            answer_of(program("nvidia-modprobe")("-u", "-c", "0"))
    return tuple(sorted(str(path) for name in GPUS for path in DEV.glob(name)))


def linked(folder: Path) -> Iterator[str]:
    """Yield where the links in a folder lead: a snapshot of the hub has its files elsewhere."""
    if not folder.is_dir():
        return
    for entry in folder.rglob("*"):
        if entry.is_symlink():
            yield os.path.realpath(entry)


def _bytes(path: Path) -> int:
    try:
        if not path.is_dir():
            return path.stat().st_size
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    except OSError:
        return 0
