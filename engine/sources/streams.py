"""Compressed bytes, recognised by their first bytes, unpacked within limits.

A limit on the ratio alone would refuse honest tables of repeated words, a limit on the size alone
would let a small file fill the disk; both together stop decompression bombs.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

from engine.errors import DataError, needs_extra
from engine.files.reading import open_regular
from engine.values import Value

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    # An empty zip begins with its end record.
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "parquet"),
)
CHUNK = 1 << 20
ZSTD_INPUT = 1 << 11
"""Bytes fed at a time: four of them can become 128 KiB, so this bounds what is held."""
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What decompressors raise on damaged or truncated input, OSError without errno apart."""


class StreamLimits(Value):
    bytes: int = 32 << 30
    """Absolute."""
    ratio: int = 300
    """Times the compressed size, counted once `free` bytes came out."""
    free: int = 32 << 20

    def check(self, count: int, *, packed: int, name: str) -> None:
        """Raise DataError D345 where `count` bytes are too much to come out of `packed` ones."""
        if count > self.bytes:
            raise DataError.one("D345", f"`{name}` unpacks to more than {self.bytes:,} bytes")
        if count > self.free and count > self.ratio * packed:
            most = f"{self.ratio} times its size ({packed:,} bytes)"
            raise DataError.one("D345", f"`{name}` unpacks to more than {most}")


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def kind_of(path: Path) -> str:
    """Return `gzip`, `bzip2`, `xz`, `zstd`, `zip`, `parquet`, or `` for anything else."""
    with open_regular(path) as stream:
        head = stream.read(8)
    return next((kind for magic, kind in MAGIC if head.startswith(magic)), "")


def decompressed(path: Path, kind: str, *, name: str, limits: StreamLimits) -> io.BufferedReader:
    """Return a stream of the bytes inside a compressed file of `kind`, guarded by `limits`.

    Reading raises one of `DAMAGE` or an OSError without errno on broken input, and a DataError over
    a limit.
    """
    opened = _OPEN[kind](path)
    return io.BufferedReader(
        Guarded(opened, packed=path.stat().st_size, name=name, limits=limits), CHUNK
    )


class Guarded(io.RawIOBase):
    """A stream that stops with a DataError when more comes out than `limits` allow."""

    def __init__(self, source: Readable, *, packed: int, name: str, limits: StreamLimits) -> None:
        self._source = source
        self._packed = max(packed, 1)
        self._name = name
        self._limits = limits
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        chunk = self._read(len(buffer))
        self._count += len(chunk)
        self._limits.check(self._count, packed=self._packed, name=self._name)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _read(self, size: int) -> bytes:
        """Read, telling zstd's damage as EOFError: its exception class needs an import."""
        try:
            return self._source.read(size)
        except (OSError, DataError, *DAMAGE):
            raise
        except Exception as error:
            if type(error).__name__ == "ZstdError":
                raise EOFError(str(error)) from error
            raise

    def close(self) -> None:
        closing: Callable[[], None] | None = getattr(self._source, "close", None)
        if closing is not None and not self.closed:
            closing()
        super().close()


def _open_zstd(path: Path) -> Readable:
    with needs_extra(f"reading `{path.name}` needs zstandard", "data"):
        import zstandard  # an extra
    return _Frames(open_regular(path), zstandard.ZstdDecompressor().decompressobj)


class _Frames:
    """The content of zstd frames; unlike the library's reader it tells a frame that is cut off."""

    def __init__(self, packed: IO[bytes], start: Callable[[], Any]) -> None:
        self._packed = packed
        self._start = start
        self._frame: Any = None
        self._input = b""
        self._ready = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        while not self._ready:
            self._input = self._input or self._packed.read(ZSTD_INPUT)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the last frame is cut off")
                return b""
            self._frame = self._frame or self._start()
            self._ready = memoryview(self._frame.decompress(self._input))
            self._input = b""
            if self._frame.eof:
                # A file may hold several frames, one behind the other.
                self._input = self._frame.unused_data
                self._frame = None
        wanted = len(self._ready) if size < 0 else size
        part, self._ready = self._ready[:wanted], self._ready[wanted:]
        return part.tobytes()

    def close(self) -> None:
        self._packed.close()


_OPEN: dict[str, Callable[[Path], Readable]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
    "zstd": _open_zstd,
}
