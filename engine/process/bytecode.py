"""Where this process and its children find the bytecode of libraries, and the process that makes it.

An installer may leave the compiling of libraries to whoever imports them first, as uv does. What runs a recipe may
write neither beside the libraries nor where another run imports from, so each of its processes would compile torch,
transformers and Axolotl for itself, every time. One process apart does it once: it imports them, sees no file of a
user, and alone may write that folder.
"""

from __future__ import annotations

import contextlib
import os
import sys
from contextlib import ExitStack
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from engine.files.user import bytecode_folder
from engine.process import start as processes
from engine.process.policies import COMPILER, PACKAGE, rights_of
from engine.process.start import Child, module

LIBRARIES: Final = ("axolotl", "peft", "sklearn", "torch", "transformers", "trl")
"""What stands for all that a run imports: an installer compiles all libraries or none."""
MODULES: Final = (
    *("torch", "transformers.modeling_utils", "transformers.generation", "peft", "torch.onnx"),
    *("transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto"),
    *("transformers.modeling_gguf_pytorch_utils", "transformers.models.llama.modeling_llama"),
    *("axolotl.cli.train", "axolotl.train", "axolotl.core.builders.causal", "trl"),
    *("sklearn.svm", "sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.metrics"),
    *("gguf", "inferna", "scipy.stats", "datasets"),
)
"""What processes of a run import, and by that nearly all of it, in the order in which a run comes to it."""
WORKER: Final = "engine.process.compile_libraries"


def keep_bytecode(held: ExitStack) -> Child | None:
    """Have this process and its children read bytecode; return the process that makes it, where it has to be made.

    `held` is closed when this process ends, and so, at the latest, does the other.
    """
    marker = read_bytecode()
    if marker is None or marker.is_file():
        return None
    # Where that is not possible each process compiles for itself.
    with contextlib.suppress(OSError):
        return _begin(marker, held)
    return None


def read_bytecode() -> Path | None:
    """Have this process and its children read bytecode; return the file that says that all of it is there.

    None where the libraries' own folders hold it, or where the user has named a folder for it.
    """
    found = [spec for name in LIBRARIES if (spec := find_spec(name)) and spec.origin]
    if sys.pycache_prefix is not None or all(os.path.exists(one.cached or "") for one in found):
        return None
    # Without a home folder each process compiles for itself.
    with contextlib.suppress(RuntimeError, OSError):
        folder = bytecode_folder() / _digest(sys.prefix, str(sys.implementation.cache_tag))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sources = [PACKAGE / "__init__.py", *(Path(str(one.origin)) for one in found)]
        versions = _digest(*(f"{path} {path.stat().st_mtime_ns}" for path in sources))
        sys.pycache_prefix = str(folder)
        return folder / versions
    return None


def _begin(marker: Path, held: ExitStack) -> Child:
    """Start the process, which makes the marker when all is compiled."""
    # Whoever looks in that folder for libraries looks there for this package, too.
    command = module(WORKER)(str(marker), str(PACKAGE), *MODULES)
    child = processes.start(
        command,
        folder=held.enter_context(processes.working_folder()),
        variables=processes.environment(),
        out=processes.DEVNULL,
        errors=processes.DEVNULL,
        rights=rights_of(COMPILER, command, writes=(marker.parent,)),
        # Other confined children write the caches that they share, and what it compiles, all will run.
        keeps_home=True,
    )
    # Not waited for, nor ended by a signal, which this process may not send once it is confined: the kernel does it.
    held.callback(child.has_ended)
    return child


def _digest(*words: str) -> str:
    return sha256("\n".join(words).encode()).hexdigest()[:16]
