"""Reading GGUF files without the time that the `gguf` package takes for a large vocabulary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import gguf
import numpy as np


class GgufReader(gguf.GGUFReader):  # type: ignore[misc]  # gguf is untyped here
    """The package's own reader, three times as fast: every slice of a `memmap` costs more than what is read."""

    @property
    def data(self) -> Any:
        """The bytes of the file, mapped as before."""
        return self._bytes

    @data.setter
    def data(self, mapped: Any) -> None:
        self._bytes = mapped.view(np.ndarray)


@contextlib.contextmanager
def read_once() -> Iterator[None]:
    """Let transformers read a file once, where it would parse it anew for the config, the weights and the tokenizer."""

    @lru_cache(maxsize=1)
    def reader(of: str) -> GgufReader:
        return GgufReader(of)

    names = {"GGUFReader": lambda of, *_: reader(str(of))}
    # Made again for each module of the model, from the same two values.
    names["get_tensor_name_map"] = cache(gguf.get_tensor_name_map)
    own = {name: getattr(gguf, name) for name in names}
    try:
        for name, function in names.items():
            setattr(gguf, name, function)
        yield
    finally:
        for name, function in own.items():
            setattr(gguf, name, function)
