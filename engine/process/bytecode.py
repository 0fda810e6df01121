"""Bytecode of libraries, where an installer leaves the compiling to whoever imports them first, as uv does.

A run may write neither beside the libraries nor where another run imports from, so each of its processes would compile
torch, transformers and Axolotl for itself. A child of the first run imports them while that goes on, and ends with it.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib
import os
import sys
import threading
from contextlib import ExitStack
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from engine.files.user import bytecode_folder
from engine.process import start as processes

MODULES: Final = (
    *("torch", "transformers.modeling_utils", "transformers.generation", "peft", "torch.onnx"),
    *("transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto"),
    *("transformers.modeling_gguf_pytorch_utils", "transformers.models.llama.modeling_llama"),
    *("axolotl.cli.train", "axolotl.train", "axolotl.core.builders.causal", "trl"),
    *("sklearn.svm", "sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.metrics"),
    *("gguf", "inferna", "scipy.stats", "datasets"),
)
"""What processes of a run import, and by that nearly all of it, in the order in which a run comes to it."""


def keep_bytecode(held: ExitStack | None = None) -> processes.Child | None:
    """Have this process and its children read bytecode; return the child that makes it, where it has to be made.

    Nothing is done where the libraries' own folders hold it, or where the user has named a folder for it. The child
    ends with `held`; without `held` none is started.
    """
    packages = sorted({name.partition(".")[0] for name in MODULES})
    found = [spec for name in packages if (spec := find_spec(name)) and spec.origin]
    if sys.pycache_prefix is not None or all(os.path.exists(one.cached or "") for one in found):
        return None
    # Where that is not possible each process compiles for itself.
    with contextlib.suppress(RuntimeError, OSError):
        folder = bytecode_folder() / _digest(sys.prefix, str(sys.implementation.cache_tag))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        versions = [f"{one.origin} {Path(one.origin or '').stat().st_mtime_ns}" for one in found]
        marker = folder / _digest(*versions)
        sys.pycache_prefix = str(folder)
        if held is not None and not marker.exists():
            child = processes.start(
                processes.module(__name__)(str(marker), *MODULES),
                folder=held.enter_context(processes.working_folder()),
                variables=processes.environment(),
                out=processes.DEVNULL,
                errors=processes.DEVNULL,
                given=processes.PIPE,
            )
            # Not by a signal, which this process may not send once it is confined.
            held.callback(child.end_input)
            return child
    return None


def _digest(*words: str) -> str:
    return sha256("\n".join(words).encode()).hexdigest()[:16]


def main() -> None:
    """Import the modules and make the marker; end as soon as nobody can write to this process any more."""
    marker, *names = sys.argv[1:]
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
    # Whoever looks in the folder of bytecode for libraries looks there for this package, too.
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)
    for name in names:
        # One that is not installed, or fails, is for the run to report.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    Path(marker).touch()


if __name__ == "__main__":
    main()
