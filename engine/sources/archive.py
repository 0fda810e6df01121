"""A file out of an archive, or out of an archive inside it (`a.tar.gz//folder/b.tsv`), or the files of a folder.

Only the bytes of what is asked for are written. A single file gets a name of our own; of a folder only files with
plain names of a wanted form are written. Links are refused, and what comes out is bounded.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from engine.errors import DataError
from engine.files import leases
from engine.files.reading import open_regular
from engine.sources.streams import CHUNK, DAMAGE, Guarded, StreamLimits, decompressed, kind_of

STEP = "//"
LIMITS = StreamLimits()
BLOCK = tarfile.BLOCKSIZE
COMPRESSED = frozenset({"gzip", "bzip2", "xz", "zstd"})
PLAIN_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*){0,2}", re.ASCII)
"""Of a file in a folder that is unpacked: three short steps that mean the same on every system."""
MOST_FILES = 200
"""Of such a folder."""
MOST_HEADER = 1 << 20
"""Bytes of a tar header beside the first: a long name, or the settings of PAX, which are read whole."""
# numbers of a header can be none, and one member can have a thousand headers
BAD_HEADER = (ValueError, RecursionError)
BROKEN = (*DAMAGE, *BAD_HEADER, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)
_HOLES = "a file of holes"
_MORE_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"x", b"g", b"X")


class BoundedHeader(tarfile.TarInfo):
    """Of a member of a tar: refused where it is large, or where what it describes is mostly holes."""

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
            _extract_member(current, step, target, name=name, limits=limits)
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
    steps = safe_steps(file)
    with leases.temporary_folder(destination.parent) as folder:
        current, below = archive, f"{_plain(steps[-1])}/"
        if len(steps) > 1:
            current = folder / "outer"
            extract(archive, STEP.join(steps[:-1]), current, limits=limits)
        names = _file_names(current, file, limits)
        if not any(_plain(name).startswith(below) for name in names):
            inner = folder / "inner"
            _extract_member(current, steps[-1], inner, name=archive.name, limits=limits)
            current, below, names = inner, "", _file_names(inner, file, limits)
        inside = [name for name in names if _plain(name).startswith(below)]
        found = {_plain(name).removeprefix(below): name for name in inside}
        chosen = {short: name for short, name in found.items() if _is_wanted(short, wanted)}
        if not chosen or len(chosen) > MOST_FILES:
            message = f"`{archive.name}{STEP}{file}` holds {len(chosen)} files of a model folder"
            raise DataError.one("D343", message)
        for short, name in chosen.items():
            target = destination / short
            target.parent.mkdir(parents=True, exist_ok=True)
            _extract_member(current, name, target, name=archive.name, limits=limits)


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    is_plain = PLAIN_NAME.fullmatch(name) is not None
    return is_plain and any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)


def _file_names(archive: Path, shown: str, limits: StreamLimits) -> list[str]:
    """Return the names of the files in a zip or tar archive. DataError D346 for anything else."""
    try:
        kind = kind_of(archive)
        if kind == "zip":
            with zipfile.ZipFile(archive) as opened:
                return [info.filename for info in opened.infolist() if not info.is_dir()]
        packed = kind in COMPRESSED
        stream = decompressed(archive, kind, name=shown, limits=limits) if packed else None
        with (
            stream or open_regular(archive) as read,
            tarfile.open(fileobj=read, mode="r|", tarinfo=BoundedHeader) as tar,
        ):
            return [info.name for info in tar if not info.isdir()]
    except BROKEN as error:
        message = f"`{shown}` is no zip or tar archive with a folder of files"
        raise DataError.one("D346", message) from error


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


def _extract_member(
    archive: Path, member: str, target: Path, *, name: str, limits: StreamLimits
) -> None:
    try:
        kind = kind_of(archive)
        if kind == "zip":
            with zipfile.ZipFile(archive) as opened:
                infos = {info.filename: info for info in opened.infolist()}
                info = infos.get(member)
                if info is None or info.is_dir():
                    raise _no_member(member, infos, name=name)
                # The upper half holds the Unix mode. The content of a link is the path that it points at.
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise _link(member, name)
                if info.flag_bits & 1:
                    raise DataError.one("D346", f"`{name}{STEP}{member}` is encrypted")
                with opened.open(info) as packed:
                    guarded = Guarded(packed, packed=info.compress_size, name=member, limits=limits)
                    with guarded, target.open("wb") as out:
                        shutil.copyfileobj(guarded, out, CHUNK)
        elif kind in COMPRESSED:
            _from_compressed(archive, member, target, kind=kind, name=name, limits=limits)
        elif _is_tar(archive):
            with open_regular(archive) as stream:
                _from_tar(stream, member, target, name=name)
        else:
            raise DataError.one("D346", f"`{name}` is not an archive of a known kind")
    except (OSError, *BROKEN) as error:
        # What decompressors raise as an OSError has no number.
        if getattr(error, "errno", None) is not None:
            raise
        fault = str(error).lower() or "it ends early"
        raise DataError.one("D346", f"`{name}` is damaged: {fault}") from error


def _from_compressed(
    archive: Path, member: str, target: Path, *, kind: str, name: str, limits: StreamLimits
) -> None:
    with decompressed(archive, kind, name=name, limits=limits) as stream:
        # `peek` takes nothing out of a stream that cannot go back.
        if _is_tar_header(stream.peek(BLOCK)[:BLOCK]):
            _from_tar(stream, member, target, name=name)
            return
        stem = PurePosixPath(name.rsplit(STEP, 1)[-1]).stem
        if member != stem:
            raise _no_member(member, [stem], name=name)
        with target.open("wb") as out:
            shutil.copyfileobj(stream, out, CHUNK)


def _from_tar(stream: IO[bytes], member: str, target: Path, *, name: str) -> None:
    """Read a tar front to back, as a stream: the first member of that name is the one."""
    seen: list[str] = []
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=BoundedHeader) as opened:
        for info in opened:
            seen.append(info.name)
            if _plain(info.name) != _plain(member):
                continue
            # `extractfile` would follow it to another member.
            if info.issym() or info.islnk():
                raise _link(member, name)
            if info.issparse():  # by a PAX header: a few bytes become terabytes
                raise tarfile.ReadError(_HOLES)
            content = opened.extractfile(info) if info.isreg() else None
            if content is None:
                raise DataError.one("D343", f"`{name}{STEP}{member}` is not a file")
            with content, target.open("wb") as out:
                shutil.copyfileobj(content, out, CHUNK)
            return
    raise _no_member(member, seen, name=name)


def _plain(name: str) -> str:
    return name.removeprefix("./").rstrip("/")


def _is_tar(path: Path) -> bool:
    with open_regular(path) as stream:
        return _is_tar_header(stream.read(BLOCK))


def _is_tar_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _no_member(member: str, names: Iterable[str], *, name: str) -> DataError:
    known = sorted(set(names))
    wanted = PurePosixPath(member).name
    same_name = [other for other in known if PurePosixPath(other).name == wanted]
    near = (same_name + difflib.get_close_matches(member, known, n=3, cutoff=0.5))[:3]
    hint = f"nearest: {', '.join(f'`{other}`' for other in dict.fromkeys(near))}" if near else None
    message = f"`{name}` has no file `{member}` ({len(known)} entries)"
    return DataError.one("D343", message, hint=hint)


def _link(member: str, name: str) -> DataError:
    return DataError.one("D344", f"`{member}` in `{name}` is a link; only plain files are read")
