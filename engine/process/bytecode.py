"""Bytecode of libraries whose installer compiles nothing: a child imports them while the first run goes on."""

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

from engine.files.reading import bytecode_folder
from engine.process import start as processes
from engine.process.child import Child

MODULES = (
    *("torch", "transformers.generation", "peft", "torch.onnx", "transformers.models.auto.modeling_auto"),
    *("transformers.modeling_gguf_pytorch_utils", "transformers.models.llama.modeling_llama"),
    *("axolotl.cli.train", "trl", "sklearn.svm", "sklearn.linear_model", "gguf", "inferna", "datasets"),
)  # fmt: skip


def keep_bytecode(held: ExitStack | None = None) -> Child | None:
    """Have this process and its children read bytecode; return the child that makes it, which ends with `held`."""
    specs = [find_spec(name) for name in sorted({one.partition(".")[0] for one in MODULES})]
    found = [one for one in specs if one and one.origin]
    if sys.pycache_prefix is not None or all(os.path.exists(one.cached or "") for one in found):
        return None
    # Where that is not possible each process compiles for itself.
    with contextlib.suppress(RuntimeError, OSError):
        interpreter = f"{sys.prefix}\n{sys.implementation.cache_tag}"
        versions = "\n".join(
            f"{one.origin} {Path(one.origin or '').stat().st_mtime_ns}" for one in found
        )
        folder = bytecode_folder() / sha256(interpreter.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker = folder / sha256(versions.encode()).hexdigest()[:16]
        sys.pycache_prefix = str(folder)
        if held is None or marker.exists():
            return None
        place = held.enter_context(processes.working_folder())
        child = processes.start(
            processes.module(__name__)(str(marker), *MODULES),
            folder=place,
            variables=processes.environment(),
            out=processes.DEVNULL,
            errors=processes.DEVNULL,
            given=processes.PIPE,
        )
        # Not by a signal, which this process may not send once it is confined.
        held.callback(child.end_input)
        return child
    return None


if __name__ == "__main__":
    # It ends as soon as nobody can write to it any more. What is missing is reported by the run.
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)
    for name in sys.argv[2:]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    Path(sys.argv[1]).touch()
