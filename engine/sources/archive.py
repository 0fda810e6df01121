"""Compressed bytes and archives, unpacked within limits: a file, one inside another (`a.tar.gz//b/c.tsv`), a folder.

They are recognised by their first bytes. A limit on the ratio alone would refuse honest tables of repeated words, a
limit on the size alone would let a small file fill the disk; both together stop decompression bombs.
"""

import bz2
import difflib
import fnmatch
import gzip
import io
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from engine.errors import DataError, needs_extra
from engine.files import leases
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
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""Errors that decompressors raise on damaged or truncated input, besides OSError without errno."""


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
        chunk = self._source.read(len(buffer))
        self._count += len(chunk)
        self._limits.check(self._count, packed=self._packed, name=self._name)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        closing: Callable[[], None] | None = getattr(self._source, "close", None)
        if closing is not None and not self.closed:
            closing()
        super().close()


def _open_zstd(path: Path) -> Readable:
    with needs_extra(f"reading `{path.name}` needs pyarrow", "data"):
        import pyarrow as pa  # an extra
    packed = pa.PythonFile(open_regular(path), mode="r")
    found: Readable = pa.CompressedInputStream(packed, "zstd")
    return found


_OPEN: dict[str, Callable[[Path], Readable]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
    "zstd": _open_zstd,
}


STEP = "//"
LIMITS = StreamLimits()
BLOCK = tarfile.BLOCKSIZE
COMPRESSED = frozenset({"gzip", "bzip2", "xz", "zstd"})
PLAIN_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*){0,2}", re.ASCII)
"""Name of a file in a folder that is unpacked: at most three steps that mean the same on every system."""
MOST_FILES = 200
"""Files of such a folder."""
MOST_HEADER = 1 << 20
"""Bytes of a tar header beside the first: a long name, or the settings of PAX, which are read whole."""
# numbers of a header can be none, and one member can have a thousand headers
BAD_HEADER = (ValueError, RecursionError)
BROKEN = (*DAMAGE, *BAD_HEADER, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)
_HOLES = "a file of holes"
_MORE_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"x", b"g", b"X")


class BoundedHeader(tarfile.TarInfo):
    """Header of a member of a tar: refused where it is large, or where most of the member is holes."""

    # where the library turns to what stands behind a header's block; it has no public place for that
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _MORE_HEADERS and self.size > MOST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(_HOLES)
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


def extract(archive: Path, file: str, destination: Path, *, limits: StreamLimits = LIMITS) -> None:
    """Write the file named by `file` out of `archive` to `destination`.

    DataError when there is no such member (the message names the nearest), its name is unsafe, it is a
    link, it unpacks to too much, or an archive is damaged or of no known kind.
    """
    steps = safe_steps(file)
    current, name = archive, archive.name
    with leases.temporary_folder(destination.parent) as folder:
        for number, step in enumerate(steps, 1):
            target = destination if number == len(steps) else folder / str(number)
            seen: list[str] = []
            with _members(current, name=name, limits=limits) as members:
                for one in members:
                    seen.append(one[0])
                    if _plain(one[0]) == _plain(step):
                        _write(one, target, archive=name)
                        break
                else:
                    known, file_name = sorted(set(seen)), PurePosixPath(step).name
                    near = [other for other in known if PurePosixPath(other).name == file_name]
                    near += difflib.get_close_matches(step, known, n=3, cutoff=0.5)
                    shown = ", ".join(f"`{other}`" for other in list(dict.fromkeys(near))[:3])
                    raise DataError.one(
                        "D343",
                        f"`{name}` has no file `{step}` ({len(known)} entries)",
                        hint=f"nearest: {shown}" if near else None,
                    )
            current, name = target, f"{name}{STEP}{step}"


def extract_folder(
    archive: Path,
    file: str,
    destination: Path,
    *,
    wanted: Sequence[str],
    limits: StreamLimits = LIMITS,
) -> None:
    """Write the wanted files of a folder inside `archive`, or of a whole archive inside it, below `destination`.

    `file` names either; `wanted` are patterns of names. DataError as `extract` raises it.
    """
    *outer, last = safe_steps(file)
    shown, below = f"{archive.name}{STEP}{file}", f"{_plain(last)}/"

    def inside(name: str) -> str:
        """Return the name below the folder; empty for what is not wanted."""
        short = _plain(name).removeprefix(below)
        is_plain = _plain(name).startswith(below) and PLAIN_NAME.fullmatch(short) is not None
        return short if is_plain and any(fnmatch.fnmatchcase(short, one) for one in wanted) else ""

    with leases.temporary_folder(destination.parent) as folder:
        current = archive
        if outer:
            current = folder / "outer"
            extract(archive, STEP.join(outer), current, limits=limits)
        with _members(current, name=shown, limits=limits) as members:
            names = [one for one, _ in members]
        if not any(_plain(name).startswith(below) for name in names):
            extract(current, last, folder / "inner", limits=limits)
            current, below = folder / "inner", ""
            with _members(current, name=shown, limits=limits) as members:
                names = [one for one, _ in members]
        chosen = {inside(name) for name in names} - {""}
        if not chosen or len(chosen) > MOST_FILES:
            raise DataError.one("D343", f"`{shown}` holds {len(chosen)} files of a model folder")
        with _members(current, name=archive.name, limits=limits) as members:
            for one in members:
                if (short := inside(one[0])) in chosen:
                    chosen.remove(short)
                    target = destination / short
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _write(one, target, archive=archive.name)


def unpack(archive: Path, destination: Path, *, most: int, limits: StreamLimits) -> None:
    """Write all files of an archive, at most so many, below `destination`. DataError as `extract` raises it."""
    total = 0
    with _members(archive, name=archive.name, limits=limits) as members:
        for count, (name, opened) in enumerate(members, 1):
            target = destination.joinpath(*safe_steps(_plain(name) or name))
            if count > most:
                raise DataError.one("D343", f"`{archive.name}` holds more than {most:,} files")
            if (content := opened()) is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("wb") as out:
                shutil.copyfileobj(content, out, CHUNK)
                total += out.tell()
            limits.check(total, packed=archive.stat().st_size, name=archive.name)


def safe_steps(file: str) -> list[str]:
    """Return the parts of `a.tar.gz//b/c.tsv`; DataError when one is empty or climbs out."""
    steps = file.split(STEP)
    for step in steps:
        path = PurePosixPath(step)
        # Backslashes and `C:` are separators and drives on Windows, and plain characters to
        # PurePosixPath.
        outside = path.is_absolute() or ".." in path.parts or "\\" in step or ":" in step[:2]
        if outside or not step or "\0" in step:
            raise DataError.one(
                "D344", f"`{file}` is not a path inside an archive: `{step}` is empty or leaves it"
            )
    return steps


_Member = tuple[str, Callable[[], IO[bytes] | None]]
"""Its name, and what opens it until the next one is asked for; None where it is no file. DataError D344, D346."""


def _write(member: _Member, target: Path, *, archive: str) -> None:
    name, opened = member
    content = opened()
    if content is None:
        raise DataError.one("D343", f"`{archive}{STEP}{name}` is not a file")
    with content, target.open("wb") as out:
        shutil.copyfileobj(content, out, CHUNK)


@contextmanager
def _members(archive: Path, *, name: str, limits: StreamLimits) -> Iterator[Iterator[_Member]]:
    """Yield the members of a zip, a tar, or a compressed file, in their order. DataError D346 for what is none."""
    try:
        with ExitStack() as held:
            yield _read_members(archive, held, name=name, limits=limits)
    except (OSError, *BROKEN) as error:
        # What decompressors raise as an OSError has no number.
        if getattr(error, "errno", None) is not None:
            raise
        fault = str(error).lower() or "it ends early"
        raise DataError.one("D346", f"`{name}` is damaged: {fault}") from error


def _read_members(
    archive: Path, held: ExitStack, *, name: str, limits: StreamLimits
) -> Iterator[_Member]:
    kind = kind_of(archive)
    if kind == "zip":
        opened = held.enter_context(zipfile.ZipFile(archive))
        yield from (
            (one.filename, partial(_unzipped, opened, one, limits)) for one in opened.infolist()
        )
        return
    is_packed = kind in COMPRESSED
    stream = (
        decompressed(archive, kind, name=name, limits=limits)
        if is_packed
        else open_regular(archive)
    )
    held.enter_context(stream)
    try:
        # `peek` takes nothing out of a stream that cannot go back.
        tarfile.TarInfo.frombuf(stream.peek(BLOCK)[:BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        if not is_packed:
            raise DataError.one("D346", f"`{name}` is not an archive of a known kind") from None
        yield PurePosixPath(name.rsplit(STEP, 1)[-1]).stem, lambda: stream
        return
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=BoundedHeader) as tar:
        yield from ((one.name, partial(_untarred, tar, one)) for one in tar)


def _unzipped(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, limits: StreamLimits
) -> IO[bytes] | None:
    # The upper half holds the Unix mode. The content of a link is the path that it points at.
    _require_no_link(info.filename, is_link=stat.S_ISLNK(info.external_attr >> 16))
    if info.flag_bits & 1:
        raise DataError.one("D346", f"`{info.filename}` is encrypted")
    content, packed = opened.open(info), info.compress_size
    guarded = Guarded(content, packed=packed, name=info.filename, limits=limits)
    return None if info.is_dir() else io.BufferedReader(guarded, CHUNK)


def _untarred(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes] | None:
    # `extractfile` would follow it to another member.
    _require_no_link(info.name, is_link=info.issym() or info.islnk())
    if info.issparse():  # by a PAX header: a few bytes become terabytes
        raise tarfile.ReadError(_HOLES)
    return tar.extractfile(info) if info.isreg() else None


def _require_no_link(member: str, *, is_link: bool) -> None:
    if is_link:
        raise DataError.one("D344", f"`{member}` is a link; only plain files are read")


def _plain(name: str) -> str:
    return name.removeprefix("./").rstrip("/")
