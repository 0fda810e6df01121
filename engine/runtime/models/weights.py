"""Safetensors files as bytes: headers, sizes, checks. Nothing is loaded and no pickle is ever read.

Source: https://github.com/huggingface/safetensors, "Format".
"""

import os
from operator import attrgetter
from pathlib import Path
from typing import Any

from engine.errors import StageError
from engine.files.reading import open_regular, parse_json, read_json
from engine.values import Value

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


class Tensor(Value):
    """One tensor's place in its file."""

    name: str
    dtype: str
    """Data type as the format writes it: `F32`, `BF16`, …"""
    shape: tuple[int, ...]
    begin: int
    """Offset of its bytes from the start of the file."""
    end: int


class WeightFile(Value):
    """A safetensors file that is whole."""

    path: Path
    header: bytes
    """The length and the JSON, as they stand at the start of the file."""
    tensors: tuple[Tensor, ...]


def read_weight_file(path: Path) -> WeightFile:
    """Read the header and compare it with the file's size. StageError X607 when they differ."""
    try:
        opened = open_regular(path)
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    with opened as file:
        # Of the open file: the name may be given to another one meanwhile.
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > min(MAX_HEADER_BYTES, size - LENGTH_BYTES):
            raise _damaged(path, "its header is longer than the file")
        text = file.read(length)
    try:
        entries: dict[str, Any] = parse_json(text)
        entries.pop("__metadata__", None)
        found = [_tensor(name, entry, length) for name, entry in entries.items()]
        tensors = tuple(sorted(found, key=attrgetter("begin")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, "its header is not readable") from error
    end = LENGTH_BYTES + length
    for tensor in tensors:
        # Neither gaps nor overlaps: bytes that belong to no tensor could be a second file inside of this one.
        if tensor.begin != end:
            raise _damaged(path, f"`{tensor.name}` does not follow the tensor before it")
        end = tensor.end
    if end != size:
        raise _damaged(path, f"it has {size} bytes, its header speaks of {end}")
    header = length.to_bytes(LENGTH_BYTES, "little") + text
    return WeightFile(path=path, header=header, tensors=tensors)


def weight_files(folder: Path) -> tuple[WeightFile, ...]:
    """Return the safetensors files of a model folder, by name, each whole. StageError X606 where one is missing."""
    names = {path.name for path in folder.glob("*.safetensors")}
    index = folder / INDEX
    if index.exists():
        named = {*weight_map(index).values()}
        if missing := named - names:
            raise StageError.one("X606", f"the model lacks `{min(missing)}`, which its index names")
        names = named if WHOLE not in names else names
    # As transformers chooses, which trains on this file whatever stands beside it: an index and its files, or the
    # same weights in another form.
    names = {WHOLE} & names or names
    if not names:
        what = "the model has no safetensors weights"
        hint = "pickled weights (.bin, .pt) are never read: they can run code"
        raise StageError.one("X606", what, hint=hint)
    return tuple(read_weight_file(folder / name) for name in sorted(names))


def weight_map(index: Path) -> dict[str, str]:
    """Return the file of each tensor, as an index names them. StageError X607 when it is none."""
    try:
        found = read_json(index, limit=MAX_HEADER_BYTES)["weight_map"]
        return {str(tensor): str(name) for tensor, name in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(index, "it is no index of weights") from error


def _tensor(name: str, entry: dict[str, Any], length: int) -> Tensor:
    """Return the tensor of an entry. ValueError, TypeError or KeyError for one that the format does not have."""
    begin, end = entry["data_offsets"]
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    # The exact type: `1e999` is infinite, and `true` is an int to `isinstance`.
    if not isinstance(dtype, str) or any(
        type(one) is not int or one < 0 for one in (begin, end, *shape)
    ):
        raise ValueError(name)
    base = LENGTH_BYTES + length
    return Tensor(name=name, dtype=dtype, shape=shape, begin=base + begin, end=base + end)


def _damaged(path: Path, why: str) -> StageError:
    return StageError.one(
        "X607", f"`{path.name}` is damaged: {why}", hint="fetch or make the model again"
    )
