"""The file of a bundle: a plain tar archive, byte-equal for equal members, and read so strictly that none may change.

Members stand in the order of their names, without times, owners or rights. Reading compares every header
with the one that would be written, and every byte between members, so no byte of the file is free.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.files.writing import refuse_link, replacing, top_of

BLOCK = 512
END = 2 * BLOCK
"""Zeros at the end."""
CHUNK = 1 << 20
KEPT = 64 << 20
"""Bytes up to which a member is held in memory; of larger ones, models, only the digest is wanted."""
LONGEST_NAME = 100

Content = bytes | Path


class ArchiveError(ValueError):
    """The file is not what `write_archive` writes; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member as it was read."""

    name: str
    sha256: str
    data: bytes | None
    """None for one that is too large to be held."""


def write_archive(path: Path, members: Mapping[str, Content]) -> None:
    """Write the members aside, then rename; not through a link.

    Raises:
        OSError: the file cannot be written, or a member cannot be read.

    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - as written: resolving would follow links
    refuse_link(whole)
    with replacing(whole, below=top_of(whole)) as out:
        for name in sorted(members):
            _write_member(out, name, members[name])
        out.write(bytes(END))


def read_archive(path: Path) -> tuple[Member, ...]:
    """Return every member, in order.

    Raises:
        ArchiveError: a byte is not what `write_archive` would have written.
        OSError: the file cannot be read.

    """
    with path.open("rb") as stream:
        members = tuple(_members(stream))
    names = [member.name for member in members]
    if names != sorted(set(names)):
        message = "its members are not in order, or one stands twice"
        raise ArchiveError(message)
    return members


def _write_member(out: BinaryIO, name: str, content: Content) -> None:
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    out.write(_header(name, size))
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        while chunk := source.read(CHUNK):
            out.write(chunk)
    out.write(bytes(-size % BLOCK))


def _header(name: str, size: int) -> bytes:
    """Return the one header that a member of that name and size has."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _members(stream: BinaryIO) -> Iterator[Member]:
    while (header := stream.read(BLOCK)) != bytes(BLOCK):
        yield _member(stream, header, at=stream.tell() - len(header))
    if stream.read(END) != bytes(END - BLOCK):
        message = "something stands behind its end"
        raise ArchiveError(message)


def _member(stream: BinaryIO, header: bytes, *, at: int) -> Member:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        name, size = info.name, info.size
        is_ours = is_plain(name) and size >= 0 and _header(name, size) == header
    except (tarfile.TarError, ValueError, OverflowError) as error:
        message = f"the header at byte {at:,} cannot be read ({error})"
        raise ArchiveError(message) from error
    if not is_ours:
        message = f"the header of `{name}` at byte {at:,} is not one that is written"
        raise ArchiveError(message)
    digest, kept, left = hashlib.sha256(), bytearray(), size
    while left:
        chunk = stream.read(min(left, CHUNK))
        if not chunk:
            message = f"it ends within `{name}`"
            raise ArchiveError(message)
        digest.update(chunk)
        left -= len(chunk)
        if size <= KEPT:
            kept += chunk
    if stream.read(-size % BLOCK) != bytes(-size % BLOCK):
        message = f"the bytes behind `{name}` are not zero"
        raise ArchiveError(message)
    return Member(name=name, sha256=digest.hexdigest(), data=bytes(kept) if size <= KEPT else None)


def is_plain(name: str) -> bool:
    """Tell whether a name stays within a folder, and has one spelling."""
    parts = name.split("/")
    is_short = 0 < len(name.encode(errors="replace")) <= LONGEST_NAME
    return is_short and name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(parts)
