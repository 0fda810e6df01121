"""Reading GGUF files without the time that the `gguf` package takes for a large vocabulary."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from engine.errors import StageError


class GgufReader(gguf.GGUFReader):  # type: ignore[misc]  # gguf is untyped here
    """The package's own reader, three times as fast: every slice of a `memmap` costs more than what is read."""

    @property
    def data(self) -> Any:
        """The bytes of the file, mapped as before."""
        return self._bytes

    @data.setter
    def data(self, mapped: Any) -> None:
        self._bytes = mapped.view(np.ndarray)

    def _get_field_parts(
        self, orig_offs: int, raw_type: int
    ) -> tuple[int, list[NDArray[Any]], list[int], list[gguf.GGUFValueType]]:
        """Return what the package's own does; the strings and numbers of a vocabulary without a call for each."""
        kind, count, start = self._array_head(orig_offs, raw_type)
        dtype = self.gguf_scalar_to_np.get(kind)
        is_text = kind == gguf.GGUFValueType.STRING
        if not (is_text or dtype) or not count or self.byte_order != "I":
            found: tuple[int, list[Any], list[int], list[Any]] = super()._get_field_parts(
                orig_offs, raw_type
            )
            return found
        raw, offset = self._bytes, start
        parts = [raw[orig_offs : orig_offs + 4].view(np.uint32), raw[start - 8 : start].view("<u8")]
        if dtype is not None:
            size = np.dtype(dtype).itemsize
            numbers = raw[start : start + count * size].view(dtype)
            # a damaged count goes past the end, where the package's own fails as well
            if len(numbers) != count:
                raise IndexError(count)
            parts += (numbers[at : at + 1] for at in range(count))
            types = [gguf.GGUFValueType.ARRAY, kind]
            return start - orig_offs + count * size, parts, [*range(2, len(parts))], types
        for _ in range(count):
            length = raw[offset : offset + 8].view(np.uint64)
            # a damaged length goes past the end, where the next string has none
            text = raw[offset + 8 : offset + 8 + int(length[0])]
            parts += (length, text)
            offset += 8 + len(text)
        places = list(range(3, len(parts), 2))
        return offset - orig_offs, parts, places, [gguf.GGUFValueType.ARRAY, kind]

    def _array_head(self, offset: int, raw_type: int) -> tuple[int, int, int]:
        """Return the type and the number of an array's items and where they begin; -1, 0 for what is no array."""
        if raw_type != gguf.GGUFValueType.ARRAY:
            return -1, 0, offset
        kind, count = self._get(offset, np.uint32), self._get(offset + 4, np.uint64)
        return gguf.GGUFValueType(int(kind[0])), int(count[0]), offset + 12


def read_back(file: Path) -> GgufReader:
    """Read a file that was written here. StageError X634 when it is no whole GGUF file."""
    try:
        return read_kept(file)
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise StageError.one("X634", f"`{file.name}` cannot be read back: {error}") from error


def read_kept(file: Path) -> GgufReader:
    """Read a file; the last two, as they are on the disk, are not read again under whatever name.

    What GgufReader raises for a damaged one.
    """
    status = file.stat()
    state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return _reader(_KeptFile(path=file, state=state))


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptFile:
    """A file, the same one as any with its state."""

    path: Path = field(compare=False)
    state: tuple[int, ...]
    """Its place on the disk, its size and its time of change."""


@lru_cache(maxsize=2)
def _reader(file: _KeptFile) -> GgufReader:
    return GgufReader(file.path)


@contextlib.contextmanager
def read_once() -> Iterator[None]:
    """Let transformers read a file once, where it would parse it anew for the config, the weights and the tokenizer."""
    import transformers.modeling_gguf_pytorch_utils as loading  # brings torch

    @lru_cache(maxsize=1)
    def reader(of: str) -> GgufReader:
        return GgufReader(of)

    names = {"GGUFReader": lambda of, *_: reader(str(of))}
    # Made again for each module of the model, from the same two values.
    names["get_tensor_name_map"] = cache(gguf.get_tensor_name_map)
    with contextlib.ExitStack() as stack:
        for name, function in names.items():
            stack.enter_context(_replaced(gguf, name, function))
        parse = _parsed_once(loading._gguf_parse_value)  # noqa: SLF001 - it has no other name
        stack.enter_context(_replaced(loading, "_gguf_parse_value", parse))
        yield


@contextlib.contextmanager
def _replaced(module: ModuleType, name: str, function: Callable[..., Any]) -> Iterator[None]:
    own = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, own)


def _parsed_once(own: Callable[[Any, list[int]], Any]) -> Callable[[Any, list[int]], Any]:
    """Return what gives the value of a field's part as `own` does, and parses a part once, strings all at once."""
    # With the part: while it is kept, no other one gets its id.
    known: dict[int, tuple[Any, Any]] = {}

    def parse(part: Any, types: list[int]) -> Any:
        if (kept := known.get(id(part))) is None:
            is_text = types[-1] == gguf.GGUFValueType.STRING
            value = part.tobytes().decode() if is_text else own(part, types)
            kept = known[id(part)] = (part, value)
        return kept[1]

    return parse
