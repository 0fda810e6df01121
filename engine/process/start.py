"""Starting other programs: the one place, git's apart, so that the rules for a child stand in one place.

A child gets an environment by an allow-list, without secrets; a new, empty working folder; nothing on standard
input; the caches of libraries in the user's own folder; modules from the search path of this process and never from
the folder one stands in. It is a process group of its own that ends when this process ends (`engine.process.launcher`).
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final, Literal

from engine.files import leases
from engine.process.child import Child
from engine.process.confine import Rights
from engine.process.library_settings import (
    INSTRUCTIONS,
    caches,
    confined_cache,
    confined_variables,
    waiting,
)
from engine.values import Value, to_json


def give_back() -> None:
    """Give back what torch keeps of a GPU; nothing where it was not imported, or has used none."""
    cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
    # Another thread may be importing it.
    has_used = getattr(cuda, "is_initialized", None)
    if has_used is not None and has_used():
        # A trainer and its model refer to each other, and are let go of here.
        gc.collect()
        cuda.empty_cache()


LAUNCHER: Final = Path(__file__).with_name("launcher.py")
ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder from which this package is imported."""
PIPE: Final = subprocess.PIPE
STDOUT: Final = subprocess.STDOUT
DEVNULL: Final = subprocess.DEVNULL
OWN_COMMAND: Final = (sys.executable, "-P", "-m", "engine")
"""The command that a job of a cluster runs as `recipe`."""
ASK_SECONDS: Final = 60.0
MOST_BYTES: Final = 1_000_000
"""Bytes of a short command's output."""

# A list of what is allowed: a list of what is forbidden would pass on every secret whose name nobody thought of.
KEPT_VARIABLES: Final = frozenset(
    {
        *("HOME", "LANG", "LD_LIBRARY_PATH", "LIBRARY_PATH", "LOGNAME", "PATH", "SYSTEMROOT"),
        *("TEMP", "TMP", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"),
        # Without these a child would compute by other instructions than this process and the record of the run say.
        *INSTRUCTIONS,
    }
)
KEPT_PREFIXES: Final = (
    *("CUDA_", "GGML_", "GOMP_", "HIP_", "KMP_", "LC_", "MKL_", "NCCL_", "NVIDIA_", "OMP_"),
    *("OPENBLAS_", "ROCR_", "SSL_"),
)
SEARCH_PATHS: Final = frozenset({"LD_LIBRARY_PATH", "LIBRARY_PATH", "PATH"})
FOLDERS: Final = frozenset({"HOME", "TEMP", "TMP", "TMPDIR", "VIRTUAL_ENV"})
SECRET: Final = re.compile(
    r"(^|_)(KEY|TOKEN|SECRET|PASS|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH)(_|$)", re.IGNORECASE
)
SET_VARIABLES: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    # Otherwise ggml starts a debugger when it aborts, to print a backtrace.
    "GGML_NO_BACKTRACE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "NO_COLOR": "1",
    "PYTHONSAFEPATH": "1",
    # Axolotl reads a `.env` file of its working folder.
    "PYTHON_DOTENV_DISABLED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
    # Kernels of the hub are code, and transformers would load them for some models by itself.
    "USE_HUB_KERNELS": "NO",
    "WANDB_MODE": "disabled",
}
"""Nothing is sent, nothing is fetched, no code of the hub; Pythons that a child starts import from no folder either."""
Kind = Literal["module", "script", "program"]


class Command(Value):
    """The program of a child: a module or a script in this Python, or an executable."""

    kind: Kind
    name: str
    """Name of the module, or the absolute path of the file."""
    arguments: tuple[str, ...] = ()

    def __call__(self, *arguments: str) -> Command:
        return Command(kind=self.kind, name=self.name, arguments=(*self.arguments, *arguments))

    def words(self, rights: Rights | None = None) -> list[str]:
        # -I takes the current folder, the user's site and PYTHON* variables off the search path: a `json.py` that
        # came with somebody's recipe would run otherwise. As -I hides PYTHONUTF8 and PYTHONPYCACHEPREFIX too, the
        # encoding is named, and where bytecode lies.
        kept = [f"-Xpycache_prefix={folder}" for folder in bytecode_read()]
        head = [sys.executable, "-I", "-u", "-X", "utf8", *kept, str(LAUNCHER), str(os.getpid())]
        left = "" if rights is None else json.dumps(to_json(rights))
        return [*head, json.dumps(search_path()), left, self.kind, self.name, *self.arguments]


def module(name: str) -> Command:
    return Command(kind="module", name=name)


def script(path: Path) -> Command:
    return Command(kind="script", name=str(path.absolute()))


def program(name: str | Path) -> Command:
    """Return the command that runs a program: a path, or a name that is looked for in the absolute parts of PATH."""
    # A relative part of PATH would take a program from the folder that came with a recipe.
    found = shutil.which(str(name), path=_absolute_parts(os.environ.get("PATH", "")))
    return Command(kind="program", name=str(Path(found or name).absolute()))


def bytecode_read() -> list[str]:
    """Return the folder in which this process looks for bytecode, where it is not beside the sources."""
    folder = sys.pycache_prefix or ""
    return [folder] if os.path.isabs(folder) else []


def search_path() -> list[str]:
    # As text: an entry of a search path is kept as it stands.
    kept = [part for part in sys.path if os.path.isabs(part)]
    return kept if str(ROOT) in kept else [*kept, str(ROOT)]


def environment(
    extra: Mapping[str, str] | None = None, *, prefixes: Sequence[str] = ()
) -> dict[str, str]:
    """Return the whole environment of a child; `prefixes` are of further variables that it keeps."""
    kept = {
        name: value
        for name, given in os.environ.items()
        if is_kept(name, prefixes) and (value := _cleaned(name, given)) is not None
    }
    # In this order: no variable of the user's switches the network or telemetry on again, and the caller has the last
    # word.
    return {**waiting(kept), **kept, **SET_VARIABLES, **caches(), **(extra or {})}


def is_kept(name: str, prefixes: Sequence[str] = ()) -> bool:
    wanted = name in KEPT_VARIABLES or name.startswith((*KEPT_PREFIXES, *prefixes))
    return wanted and SECRET.search(name) is None


@contextlib.contextmanager
def working_folder() -> Iterator[Path]:
    with leases.temporary_folder() as folder:
        yield folder


def start(
    command: Command,
    *,
    folder: Path,
    variables: Mapping[str, str],
    out: int | IO[bytes],
    errors: int | IO[bytes],
    given: int = DEVNULL,
    rights: Rights | None = None,
    keeps_home: bool = False,
) -> Child:
    """Start a command in `folder`, with `variables` as its whole environment. OSError where that is not possible.

    `given` is what it reads: nothing, or a pipe for a worker that `Child.send` writes to. With `rights` it is
    confined to these, its folder, and caches of its kind; without, it keeps ours. With `keeps_home` home and caches are
    those of `variables`, as far as `rights` has them.
    """
    # A trainer that is started after models were asked in this process would find a GPU full of what they left.
    give_back()
    if rights is not None:
        rights = replace(rights, read=(*rights.read, *bytecode_read()))
    if rights is not None and keeps_home:
        rights = replace(rights, write=(*rights.write, str(folder.resolve())))
    elif rights is not None:
        cache = confined_cache()
        rights = replace(rights, write=(*rights.write, str(folder.resolve()), str(cache)))
        variables = {**variables, **confined_variables(folder, cache)}
    return Child(
        subprocess.Popen(  # noqa: S603 - by the rules of this module
            command.words(rights),
            cwd=folder,
            env=dict(variables),
            # Never the terminal's: transformers would ask there whether to run code of a model.
            stdin=given,
            stdout=out,
            stderr=errors,
            # Ctrl-C in the terminal reaches us alone, and we end the child in order. Its group is its own, so all of
            # it can be ended.
            start_new_session=True,
        )
    )


class Finished(Value):
    status: int | None
    """None where it did not end in time."""
    text: str
    last_error: str
    """The last line that it wrote to stderr."""


def ask(
    command: Command,
    *,
    variables: Mapping[str, str] | None = None,
    seconds: float = ASK_SECONDS,
) -> Finished:
    """Run a short command to its end, with `variables` as its whole environment. OSError where it cannot be started."""
    with (
        working_folder() as folder,
        # Not pipes: nobody reads while we wait, and a child would wait for ever on a pipe that is full.
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
    ):
        with start(
            command,
            folder=folder,
            variables=environment() if variables is None else variables,
            out=out,
            errors=errors,
        ) as child:
            has_ended = child.has_ended(within=seconds)
            status = child.wait() if has_ended else child.kill()
        for stream in (out, errors):
            stream.seek(0)
        text, errors_text = (
            stream.read(MOST_BYTES).decode("utf-8", errors="replace") for stream in (out, errors)
        )
        last = next(filter(None, map(str.strip, reversed(errors_text.split("\n")))), "")
        return Finished(status=status if has_ended else None, text=text, last_error=last)


def answer_of(command: Command, *, seconds: float = ASK_SECONDS) -> str:
    """Return what a short command writes. OSError where it fails, or does not end within `seconds`."""
    answer = ask(command, seconds=seconds)
    if answer.status != 0:
        raise ChildProcessError(errno.ECHILD, "no answer", command.name)
    return answer.text


def _cleaned(name: str, value: str) -> str | None:
    """Return a variable's value without what would follow the current folder; None for nothing left of it.

    An empty value of another variable stays: `CUDA_VISIBLE_DEVICES=""` hides every GPU.
    """
    if name in SEARCH_PATHS:
        return _absolute_parts(value) or None
    return value if name not in FOLDERS or os.path.isabs(value) else None


def _absolute_parts(value: str) -> str:
    return os.pathsep.join(part for part in value.split(os.pathsep) if os.path.isabs(part))
