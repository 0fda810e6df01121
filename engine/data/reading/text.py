"""Bytes of a data file into text and lines: decompressed, decoded strictly, in bounded memory."""

import codecs
import io
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import IO

from engine.data.reading.row import Row, Trouble
from engine.errors import DataError
from engine.files.reading import open_regular, require_data
from engine.recipe.model import Source
from engine.sources.archive import CHUNK, DAMAGE, StreamLimits, decompressed, kind_of

COLUMN = "text"
"""What the file itself is called as a column."""


def read_lines(
    path: Path, beside: Mapping[str, Path], *, encoding: str, trouble: Trouble
) -> Iterator[Row]:
    """Yield one row a line, blank lines too: the column `text`, and one for each file of `beside`.

    The end of a line (LF or CR LF) is no part of its text. DataError at the end when the
    files do not have as many lines as each other.
    """
    names = (COLUMN, *beside)
    files = [(path, trouble), *((file, Trouble(file.name)) for file in beside.values())]
    counts = [0] * len(files)
    with ExitStack() as opened:
        texts = [
            opened.enter_context(closing(_stripped(file, encoding, faults)))
            for file, faults in files
        ]
        # Not `zip`: it stops at the shortest file, and a missing line would go unseen.
        for number, line in enumerate(zip_longest(*texts), 1):
            for position, text in enumerate(line):
                counts[position] += text is not None
            if None not in line:
                yield trouble.row(f":{number}", dict(zip(names, line, strict=True)))
    if len(set(counts)) > 1:
        lengths = [
            f"`{of.file}` has {count:,}" for (_, of), count in zip(files, counts, strict=True)
        ]
        hint = "line n of each file belongs to row n: find where they part"
        raise trouble.stop(
            "D330", f"unequal numbers of lines: {', '.join(lengths)}", line=None, hint=hint
        )


def read_paragraphs(path: Path, *, encoding: str, trouble: Trouble) -> Iterator[Row]:
    """Yield the lines between blank ones as one row with the column `text`, joined by line feeds."""
    part: list[str] = []
    length = start = 0
    for number, line in enumerate(_stripped(path, encoding, trouble), 1):
        if line.strip():
            start = start if part else number
            part.append(line)
            length += len(line)
            if length > MAX_LINE:
                message = f"has no blank line within {MAX_LINE:,} characters"
                raise trouble.stop("D336", message, line=start, hint="take `split_at` out")
        elif part:
            yield trouble.row(f":{start}", {COLUMN: "\n".join(part)})
            part, length = [], 0
    if part:
        yield trouble.row(f":{start}", {COLUMN: "\n".join(part)})


def read_document(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the whole file as one row with the column `text`, not a character changed."""
    parts: list[str] = []
    length = 0
    for part in chunks(path, source.encoding, trouble):
        parts.append(part)
        length += len(part)
        if length > MAX_LINE:
            message = f"is a text of more than {MAX_LINE:,} characters"
            hint = "use `format: lines`, or divide the file"
            raise trouble.stop("D336", message, hint=hint)
    yield trouble.row(":1", {COLUMN: "".join(parts)})


def _stripped(path: Path, encoding: str, trouble: Trouble) -> Generator[str]:
    for line in lines(path, encoding, trouble):
        yield line.removesuffix("\n").removesuffix("\r")


PACKED = ("gzip", "bzip2", "xz", "zstd")
LIMITS = StreamLimits()
MAX_LINE = 16 << 20
"""Characters of a line, or of a value that spans lines, that are held at once."""
HEAD = 4096
MOSTLY = 0.7
SAVE = "save its rows as CSV, JSON lines or Parquet"
FOREIGN = (
    (0, b"SQLite format 3\0", "a SQLite database", "sqlite3 -header -csv FILE 'select * from TABLE' > rows.csv"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of old Office (.xls, .doc)", "save it as .xlsx or CSV"),
    (0, b"ARROW1", "a Feather file", SAVE),
    (0, b"%PDF-", "a PDF", "save its text as .txt"),
    (0, b"\x80\x04\x95", "a Python pickle, which could run code", SAVE),
    (0, b"\x80\x05\x95", "a Python pickle, which could run code", SAVE),
    (0, b"\x89HDF", "an HDF5 file", SAVE),
    (257, b"ustar", "a tar archive", "unpack it and name the files in it"),
)  # fmt: skip
"""(offset, bytes there, what such a file is, what to do): files that people have and no reader reads."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def open_bytes(path: Path, trouble: Trouble) -> Iterator[IO[bytes]]:
    """Open a file, decompressed where its first bytes say so. DataError where it is damaged or unpacks to too much."""
    require_rows(path, trouble)
    try:
        kind = kind_of(path)
        if kind == "zip":
            raise trouble.stop(
                "D323", "is a zip archive, not a table", hint="unpack it and name the file inside"
            )
        with (
            decompressed(path, kind, name=path.name, limits=LIMITS)
            if kind in PACKED
            else open_regular(path)
        ) as stream:
            yield stream
    except DAMAGE as error:
        reason = str(error).lower() or "it ends early"
        raise trouble.stop("D329", f"compressed data is damaged: {reason}") from error
    except OSError as error:
        if error.errno is None:
            raise trouble.stop("D329", f"compressed data is damaged: {error}") from error
        raise unreadable(error, trouble) from error


def require_rows(path: Path, trouble: Trouble) -> int:
    """Return the size of a file of rows; DataError D320 where it is no file, or hardly more than holes."""
    try:
        return require_data(path).st_size
    except OSError as error:
        raise unreadable(error, trouble) from error
    except ValueError as error:  # a name with a zero byte
        raise trouble.stop("D320", f"cannot be read: {error}") from error


def unreadable(error: OSError, trouble: Trouble) -> DataError:
    """Return D320 for a file that cannot be opened, or is none."""
    reason = (error.strerror or str(error)).lower()
    what = reason if reason.startswith("is a ") else f"cannot be read: {reason}"
    return trouble.stop("D320", what)


def lines(path: Path, encoding: str, trouble: Trouble) -> Iterator[str]:
    """Yield the lines of a text file with their ends; only a line feed ends a line.

    DataError when the file is empty, is not text of that encoding (with the byte offset), or has a
    line longer than `MAX_LINE`.
    """
    rest: list[str] = []
    length = 0
    for text in chunks(path, encoding, trouble):
        end = text.rfind("\n") + 1
        if end:
            yield from io.StringIO(f"{''.join(rest)}{text[:end]}", newline="\n")
            rest, length = [], 0
        rest.append(text[end:])
        length += len(text) - end
        # A stranger's file may be one endless line; the reading ends before memory does.
        if length > MAX_LINE:
            raise trouble.stop("D324", f"a line is longer than {MAX_LINE:,} characters")
    last = "".join(rest)
    if last:
        yield last


def chunks(path: Path, encoding: str, trouble: Trouble) -> Iterator[str]:
    """Yield the text of a file in pieces, without a byte order mark."""
    decoder = _decoder(encoding, trouble)
    offset, line = 0, 1
    with open_bytes(path, trouble) as stream:
        while chunk := stream.read(CHUNK):
            if offset == 0:
                _check_head(chunk[:HEAD], encoding, trouble)
            text = _decode(decoder, chunk, offset, line, trouble)
            yield text
            offset += len(chunk)
            line += text.count("\n")
    if offset == 0:
        raise trouble.stop("D321", "is empty", line=1)
    yield _decode(decoder, b"", offset, line, trouble)


def _decoder(encoding: str, trouble: Trouble) -> codecs.IncrementalDecoder:
    # Excel writes a byte order mark, which would otherwise become part of the first column's name.
    name = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    try:
        bytes(4).decode(name, "replace")  # refuses codecs that are not of text, such as hex
        return codecs.getincrementaldecoder(name)("strict")
    except (
        LookupError,
        ValueError,
    ) as error:  # ValueError: a zero byte or half a surrogate in the name
        raise trouble.stop("D322", f"no encoding is called `{encoding}`") from error


def _check_head(head: bytes, encoding: str, trouble: Trouble) -> None:
    # These encodings write zero bytes for ASCII, which is the mark of binary data in the others.
    if encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        return
    if head.startswith(b"PAR1"):
        hint = "add `format: parquet` to the source"
        raise trouble.stop("D323", "is a Parquet file, not text", line=1, hint=hint)
    for at, magic, what, hint in FOREIGN:
        if head.startswith(magic, at):
            raise trouble.stop("D323", f"is {what}, not text", line=1, hint=hint)
    nul_share = head.count(0) / len(head)
    if utf16_of(head):
        raise trouble.stop("D322", "is UTF-16, not UTF-8", line=1, hint="add `encoding: utf-16`")
    if nul_share > 0:
        at = head.index(0)
        line = head.count(b"\n", 0, at) + 1
        raise trouble.stop("D323", f"is binary: byte 0 at offset {at}", line=line)


def utf16_of(head: bytes) -> str:
    """Return the encoding of the beginning of a file that is UTF-16; empty where it is not."""
    if head.startswith(UTF16):
        return "utf-16"  # the mark says which byte comes first
    if len(head) % 2:
        return ""
    # Text of mostly Latin letters: one byte of each pair is zero, the other is not.
    half = max(len(head) // 2, 1)
    first, second = head[0::2].count(0) / half, head[1::2].count(0) / half
    if max(first, second) <= MOSTLY or min(first, second) >= 1 - MOSTLY:
        return ""
    return "utf-16-le" if second > first else "utf-16-be"


def _decode(
    decoder: codecs.IncrementalDecoder, chunk: bytes, at: int, line: int, trouble: Trouble
) -> str:
    """Return the text of the bytes at offset `at`, whose first character stands on `line`."""
    # The decoder holds back the bytes of a character cut in two; the position of an error counts from them.
    state = decoder.getstate()[0]
    pending = len(state) if isinstance(state, bytes) else 0
    try:
        text = decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        offset = at - pending + error.start
        got = error.object[error.start]
        before = error.object[: error.start].decode(error.encoding, "replace")
        raise trouble.stop(
            "D322",
            f"is not {error.encoding}: byte 0x{got:02x} at offset {offset:,}",
            line=line + before.count("\n"),
            hint="add `encoding: cp1252` (or the file's real encoding) to the source",
        ) from error
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise trouble.stop("D323", "is binary: it holds the character U+0000", line=line)
    return text
