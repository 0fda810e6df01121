"""The file of a bundle: a plain tar archive, byte-equal for equal members, and read so strictly that none may change.

Members stand in the order of their names, without times, owners or rights. Reading compares every header
with the one that would be written, and every byte between members, so no byte of the file is free.
"""

import errno
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO

from engine.files.reading import open_regular
from engine.files.writing import refuse_link, replacing, top_of
from engine.values import Value, brief_text

ENDING = ".bundle.tar"
"""Of a bundle's name, behind that of its recipe."""
BLOCK = 512
END = 2 * BLOCK
CHUNK = 1 << 20
KEPT = 64 << 20
"""Bytes up to which a member is held in memory; of larger ones, models, only the digest is wanted."""
MOST_MEMBERS = 10_000
MOST_BYTES = 1 << 38
"""Of a whole bundle: 256 GiB, more than the weights of any small model."""
# the field of a tar header; a longer name would take a second header
LONGEST_NAME = 100

Content = bytes | Path


class ArchiveError(ValueError):
    """The file is not what `write_archive` writes; the message says where."""


class Member(Value):
    name: str
    sha256: str
    data: bytes | None
    """None for one that is too large to be held."""
    size: int = 0


def write_archive(
    path: Path, members: Mapping[str, Content], *, digests: Mapping[str, str] | None = None
) -> None:
    """Write the members aside, then rename; not through a link.

    `digests` are the sha256 that members must have as they are written.

    OSError: the file cannot be written, or a member cannot be read. ArchiveError: a member has another sha256;
    nothing is left of the file then.
    """
    whole = Path(os.path.abspath(path))  # as written: resolving would follow links
    refuse_link(whole)
    with replacing(whole, below=top_of(whole)) as out:
        for name in sorted(members):
            found = _write_member(out, name, members[name])
            wanted = (digests or {}).get(name, found)
            if found != wanted:
                raise ArchiveError(f"`{name}` has the sha256 {found}, it should be {wanted}")
        out.write(bytes(END))


def read_archive(
    path: Path, *, is_large: Callable[[str], bool] = lambda _: True
) -> tuple[Member, ...]:
    """Return every member, in order; those that `is_large` names may be larger than `KEPT`.

    ArchiveError: a byte is not what `write_archive` would have written, or a size is beyond reason. OSError: the file
    cannot be read, or is none.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > MOST_BYTES:
            raise ArchiveError(f"it has {size:,} bytes, more than {MOST_BYTES:,}")
        members = tuple(islice(_members(stream, is_large, end=size), MOST_MEMBERS + 1))
    if len(members) > MOST_MEMBERS:
        raise ArchiveError(f"it has more than {MOST_MEMBERS:,} members")
    names = [member.name for member in members]
    # one order and no name twice: no two archives hold the same members
    if names != sorted(set(names)):
        raise ArchiveError("its members are not in order, or one stands twice")
    return members


def _write_member(out: BinaryIO, name: str, content: Content) -> str:
    """Write a member and return its sha256; OSError where a file changes its size meanwhile."""
    digest = hashlib.sha256()
    with io.BytesIO(content) if isinstance(content, bytes) else open_regular(content) as source:
        size = len(content) if isinstance(content, bytes) else os.fstat(source.fileno()).st_size
        out.write(_header(name, size))
        left = size
        while chunk := source.read(min(CHUNK, left)):
            out.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
    if left:
        raise OSError(errno.EIO, "became shorter while it was read", name)
    out.write(bytes(-size % BLOCK))
    return digest.hexdigest()


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _members(stream: IO[bytes], is_large: Callable[[str], bool], *, end: int) -> Iterator[Member]:
    # a file that ends without its zeros gives an empty header, which `_named` refuses
    while (header := stream.read(BLOCK)) != bytes(BLOCK):
        name, size, at = *_named(header, at=stream.tell() - len(header)), stream.tell()
        if size > end - at:
            raise ArchiveError(f"it ends within `{name}`")
        # all but models is held in memory
        if size > KEPT and not is_large(name):
            raise ArchiveError(f"`{name}` has {size:,} bytes, more than {KEPT:,}")
        digest, kept, left = hashlib.sha256(), bytearray(), size
        while left:
            chunk = stream.read(min(left, CHUNK))
            if not chunk:
                raise ArchiveError(f"it ends within `{name}`")
            digest.update(chunk)
            left -= len(chunk)
            if size <= KEPT:
                kept += chunk
        if stream.read(-size % BLOCK) != bytes(-size % BLOCK):
            raise ArchiveError(f"the bytes behind `{name}` are not zero")
        data = bytes(kept) if size <= KEPT else None
        yield Member(name=name, sha256=digest.hexdigest(), data=data, size=size)
    # its first block was read as a header; asking for more than is left shows what stands behind it
    if stream.read(END) != bytes(END - BLOCK):
        raise ArchiveError("something stands behind its end")


def _named(header: bytes, *, at: int) -> tuple[str, int]:
    """Return name and size of a member; ArchiveError where the header is not the one it would have."""
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        name, size = info.name, info.size
        is_ours = is_plain(name) and size >= 0 and _header(name, size) == header
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise ArchiveError(
            f"the header at byte {at:,} cannot be read ({brief_text(str(error))})"
        ) from error
    if not is_ours:
        raise ArchiveError(
            f"the header of `{brief_text(name)}` at byte {at:,} is not one that is written"
        )
    return name, size


def is_plain(name: str) -> bool:
    """Tell whether a name stays within a folder, and has one spelling."""
    parts = name.split("/")
    is_short = 0 < len(name.encode(errors="replace")) <= LONGEST_NAME
    return is_short and name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(parts)
