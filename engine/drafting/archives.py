"""Zip and tar archives that are named in the place of the files in them."""

from __future__ import annotations

import re
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from engine.drafting.layouts.foreign import is_workbook
from engine.errors import DataError
from engine.files.reading import open_regular
from engine.sources.archive import COMPRESSED, BoundedHeader
from engine.sources.streams import DAMAGE, StreamLimits, decompressed, kind_of

LARGEST: Final = 1 << 30
"""Bytes of all files of an archive, unpacked."""
MOST_FILES: Final = 200_000
TAR: Final = re.compile(r"(?i).+\.(?:tar(?:\.(?:gz|bz2|xz|zst))?|tgz|tbz2?|txz)")
"""Names of tar archives; their first bytes say how they are compressed."""
DOCUMENT: Final = frozenset({"[Content_Types].xml", "mimetype"})
"""Files in archives that are Word's and PowerPoint's documents, or OpenDocument's and e-books."""


@contextmanager
def unpacked(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give the paths, with a folder of its files for each archive; the folders are removed at the end.

    DataError D323 where an archive is broken, or its files are too many or too large; D345 for a bomb.
    """
    with ExitStack() as stack:
        yield [_folder_of(path, stack) if _is_archive(path) else path for path in paths]


def _is_archive(path: Path) -> bool:
    if not path.is_file() or is_workbook(path):
        return False
    return TAR.fullmatch(path.name) is not None or kind_of(path) == "zip"


def _folder_of(path: Path, stack: ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recipe-init-")))
    try:
        if TAR.fullmatch(path.name):
            _untar(path, folder)
            return folder
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            if not DOCUMENT.isdisjoint(one.filename for one in members):
                raise DataError.one(
                    "D323",
                    f"`{path.name}` is a document of an office program, no archive of data",
                    hint="save its text as .txt or its table as .csv; the name of a workbook ends in .xlsx",
                )
            if len(members) > MOST_FILES or sum(one.file_size for one in members) > LARGEST:
                raise _broken(
                    path, f"it holds more than {MOST_FILES:,} files or {LARGEST >> 20} MiB"
                )
            size = sum(one.file_size for one in members)
            StreamLimits().check(size, packed=path.stat().st_size, name=path.name)
            for one in members:
                # Never outside of the folder: `extract` leaves out roots and `..`. It reads no more than was declared.
                archive.extract(one, folder)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        *DAMAGE,
    ) as error:
        # RuntimeError: it asks for a password, or is packed in an unknown way.
        raise _broken(path, str(error)) from error
    return folder


def _untar(path: Path, folder: Path) -> None:
    """Write the plain files of a tar archive below a folder, front to back; links and devices are left out."""
    kind = kind_of(path)
    limits = StreamLimits(bytes=LARGEST)
    packed = decompressed(path, kind, name=path.name, limits=limits) if kind in COMPRESSED else None
    count = 0
    with (
        packed or open_regular(path) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=BoundedHeader) as archive,
    ):
        for info in archive:
            if not info.isreg() or info.issparse():
                continue
            count += 1
            if count > MOST_FILES or info.size > LARGEST:
                raise _broken(
                    path, f"it holds more than {MOST_FILES:,} files or {LARGEST >> 20} MiB"
                )
            # The filter refuses names that lead out of the folder.
            archive.extract(info, folder, filter="data")


def _broken(path: Path, why: str) -> DataError:
    return DataError.one(
        "D323",
        f"`{path.name}` cannot be unpacked: {why}",
        hint="unpack it and name the files in it",
    )
