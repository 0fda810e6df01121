"""llama.cpp's converter with the `gguf` that is installed beside it, whichever package wrote that last."""

import subprocess
import sys
from pathlib import Path

import gguf
import pytest

from engine.runtime.gguf.convert_worker import with_newer_names

IMPORTED = """
import importlib, pkgutil
import conversion
from engine.runtime.gguf.convert_worker import with_newer_names

with with_newer_names():
    for found in pkgutil.iter_modules(conversion.__path__):
        importlib.import_module(f"conversion.{found.name}")
"""


@pytest.mark.thorough
def test_every_module_of_the_converter_can_be_imported(root: Path) -> None:
    # in a process of its own: what is imported here stays
    subprocess.run([sys.executable, "-c", IMPORTED], cwd=root, check=True)


def test_names_that_are_known_keep_their_meaning() -> None:
    known = gguf.MODEL_ARCH

    with with_newer_names():
        assert (gguf.MODEL_ARCH.LLAMA, gguf.MODEL_ARCH.NO_SUCH) == (known.LLAMA, None)
        assert gguf.MODEL_TENSOR.NO_SUCH is None

    assert gguf.MODEL_ARCH is known
