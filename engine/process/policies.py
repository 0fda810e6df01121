"""What each kind of child keeps of our rights: one table, which `docs/reference/limits.md` shows.

A child reads the system, this Python and what it is given, writes what it is given and its working folder, and has
no network. `engine.process.confine` takes away the rest.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.files.user import STORE_KEY, cache_folder, config_folder, packages_folder, state_folder
from engine.process.confine import LOOPBACK, NONE, OPEN, Rights
from engine.process.start import bytecode_read, program
from engine.values import Value

if TYPE_CHECKING:
    from engine.process.start import Command

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
    base = base_rights()
    home = Path(os.path.expanduser("~"))  # `Path.home` fails for a user without one
    tops = [folder.resolve() for folder in project]
    read = [*("/etc", "/run"), *map(str, _visible(tops)), *(str(path.resolve()) for path in reads)]
    read += [one for path in reads for one in linked(path.resolve())]
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
        write=(str(root.resolve()), *_packages(), *hubs),
        devices=DEVICES,
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
    yield from places_of(program(tool))


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
"""Of /etc what libraries read when they start, and no accounts."""
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


class Size(Value):
    """A limit in bytes: so many times what the child reads, and so much more."""

    times: float
    more: int

    def of(self, given: int) -> int:
        return int(self.times * given) + self.more

    @property
    def words(self) -> str:
        return f"{self.more / GIB:g} GiB and {self.times:g} times what it reads"


class Policy(Value):
    name: str
    reads: str
    """In words, for the docs."""
    writes: str
    network: str = NONE
    uses_gpu: bool = False
    memory: Size | None = None
    """Its own, without files that it maps (RLIMIT_DATA); not on a machine with a GPU, whose driver takes far more."""
    file: Size | None = None
    """The largest file that it may write (RLIMIT_FSIZE)."""


CONVERTER: Final = Policy(
    name="the GGUF converter",
    reads="the model folder",
    writes="the folder of the file that it makes",
    memory=Size(times=4, more=6 * GIB),
    file=Size(times=3, more=GIB),
)
QUANTIZER: Final = Policy(
    name="the GGUF quantizer",
    reads="the 16-bit file and the importance matrix",
    writes="the folder of the file that it makes",
    memory=Size(times=3, more=4 * GIB),
    file=Size(times=3, more=GIB),
)
LLAMA: Final = Policy(
    name="llama.cpp, for answers and for `serve`",
    reads="the GGUF file, and what it is asked",
    writes="the folder of its answers",
    uses_gpu=True,
    memory=Size(times=2, more=6 * GIB),
    file=Size(times=0, more=8 * GIB),
)
GRAPH_CONVERTER: Final = Policy(
    name="the export to ONNX",
    reads="the model folder",
    writes="the folder of the files that it makes",
    memory=Size(times=10, more=8 * GIB),
    file=Size(times=3, more=GIB),
)
GRAPH: Final = Policy(
    name="ONNX Runtime, for answers",
    reads="the folder of the graph",
    writes="the folder of its answers",
    memory=Size(times=4, more=8 * GIB),
    file=Size(times=0, more=8 * GIB),
)
TRAINING: Final = Policy(
    name="Axolotl, Unsloth, and several processes of TRL",
    reads="the rows, the base model, the soft targets; of Unsloth its environment",
    writes="the training's folder",
    network=LOOPBACK,
    uses_gpu=True,
    memory=Size(times=12, more=16 * GIB),
    file=Size(times=12, more=4 * GIB),
)
BASELINE: Final = Policy(
    name="the `predict.py` of an exported baseline",
    reads="its folder and the holdout's texts",
    writes="nothing",
    memory=Size(times=6, more=4 * GIB),
    file=Size(times=0, more=GIB),
)
LOCK_WRITER: Final = Policy(
    name="the process that writes the lock",
    reads="nothing more",
    writes="the folder of the recipe",
    memory=Size(times=0, more=2 * GIB),
    file=Size(times=0, more=GIB),
)
POLICIES: Final = (
    *(CONVERTER, QUANTIZER, LLAMA, GRAPH_CONVERTER, GRAPH, TRAINING, BASELINE, LOCK_WRITER),
)
"""Short questions to tools of the user's own are not among them."""


def rights_of(
    policy: Policy, command: Command, *, reads: Iterable[Path] = (), writes: Iterable[Path] = ()
) -> Rights:
    given = [path.resolve() for path in reads]
    size = sum(map(_bytes, given))
    has_gpu = policy.uses_gpu and bool(gpus())
    limits = {"RLIMIT_CORE": 0}
    if policy.memory and not has_gpu:
        limits["RLIMIT_DATA"] = policy.memory.of(size) + PER_CORE * (os.cpu_count() or 1)
    if policy.file:
        limits["RLIMIT_FSIZE"] = policy.file.of(size)
    base = base_rights()
    return replace(
        base,
        execute=(*base.execute, *places_of(command)),
        read=(*base.read, *map(str, given), *(one for path in given for one in linked(path))),
        write=(SHARED_MEMORY, *(str(path.resolve()) for path in writes)),
        devices=(*DEVICES, *(gpus() if policy.uses_gpu else ())),
        network=policy.network,
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
            yield from map(str, _homes(settings))


def _homes(settings: Path) -> Iterator[Path]:
    for line in settings.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition("=")
        prefix = Path(value.strip()).parent
        if key.strip() == "home" and _is_library(str(prefix)):
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
    _make_unified_memory()
    return tuple(sorted(str(path) for name in GPUS for path in DEV.glob(name)))


def _make_unified_memory() -> None:
    """Make the device that CUDA asks for, where nobody has used CUDA since the machine was started.

    CUDA has the driver's helper make it, which runs with root's rights, and a confined process cannot start it so.
    """
    if (DEV / "nvidiactl").exists() and not (DEV / "nvidia-uvm").exists():
        from engine.process.start import (
            answer_of,
            program,
        )  # where there is nothing to make, nothing is started

        # Without it CUDA says what is missing.
        with contextlib.suppress(OSError):
            answer_of(program("nvidia-modprobe")("-u", "-c", "0"))


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
