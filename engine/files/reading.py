"""Reading files of others: regular files only, of bounded size and depth. Folders of the user outside each project."""

import contextlib
import errno
import json
import os
import stat
from collections import Counter
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a document that is read whole: a recipe, a lock, a report, a configuration."""
MOST_ANSWERS: Final = 4 << 30
"""Bytes of the tokens and answers of all rows, which a process of ours has written."""
MAX_DEPTH: Final = 100
"""Nesting of lists and objects; code that walks a value by recursion fails at about 1,000."""
BYTES_A_PART: Final = 16
"""Bytes that each list or object counts of a JSON file's limit: `[]` is two bytes in the file, 64 in memory."""

_BLOCK: Final = 512
_LARGE: Final = 1 << 30
_MOST_HOLLOW: Final = 100
"""Times that a large file may be longer than what is stored of it; file systems that compress reach a few."""

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path | str, *, follow: bool = True) -> BufferedReader:
    """Open a regular file for reading, at once: a named pipe without a writer is refused, not waited for.

    Raises:
        OSError: as `open`; EISDIR for a folder, EINVAL for what is no file, ELOOP for a link where `follow` is False.

    """
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever; regular files do not mind
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    try:
        # of what is open now: between a look at the name and opening it another file can take its
        # place
        _require_regular(os.fstat(number).st_mode, path)
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def require_regular(path: Path | str) -> os.stat_result:
    status = os.stat(path)  # noqa: PTH116 - takes both kinds of path
    _require_regular(status.st_mode, path)
    return status


def require_data(path: Path | str) -> os.stat_result:
    """Return the status of a regular file of rows or weights, however large, that is more than a hole.

    A file of 1 TB without content takes no place on the disk and hours to read.

    Raises:
        OSError: as `open_regular`; EFBIG for a file that is hardly more than holes.

    """
    status = require_regular(path)
    stored = status.st_blocks * _BLOCK
    if status.st_size > max(_LARGE, stored * _MOST_HOLLOW):
        kept = f"{status.st_size / 1e9:,.0f} GB long, of which {stored / 1e9:,.1f} GB are there"
        raise OSError(errno.EFBIG, f"is a file of holes: {kept}", str(path))
    return status


def read_bytes(path: Path | str, *, limit: int = MAX_BYTES, follow: bool = True) -> bytes:
    """Return a regular file's bytes. OSError as `open_regular`, EFBIG where there are more than `limit`."""
    with open_regular(path, follow=follow) as stream:
        # read, not asked of the size: a file can grow, and those of /proc say 0
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit / 1e6:.0f} MB", str(path))
    return content


def read_text(path: Path | str, *, limit: int = MAX_BYTES, follow: bool = True) -> str:
    """Return a regular file's text. Raises as `read_bytes`, and UnicodeDecodeError where it is not UTF-8.

    Line ends are those of the text: CR LF becomes LF, as `Path.read_text` does.
    """
    text = read_bytes(path, limit=limit, follow=follow).decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(
    text: str | bytes, *, depth: int = MAX_DEPTH, parts: int = MAX_BYTES // BYTES_A_PART
) -> Any:
    """Return the value that JSON text holds.

    ValueError where it is none, nested deeper than `depth`, or has more than `parts` lists and objects.
    """
    marks = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(map(text.count, marks)) > parts:  # type: ignore[arg-type]
        raise ValueError(f"more than {parts:,} lists and objects")
    with contextlib.suppress(RecursionError):
        value = json.loads(text)
        # level by level and not by recursion, which would end at the interpreter's own limit
        level: list[Any] = [[value]]
        for _ in range(depth + 1):
            inner = (one.values() if isinstance(one, dict) else one for one in level)
            level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
            if not level:
                return value
    raise ValueError(f"nested more than {depth} levels deep")


def json_lines(text: str) -> list[str]:
    """Return the lines of JSON lines that hold something.

    A line feed alone ends one: `str.splitlines` would also cut at U+0085 and U+2028, which JSON does not escape.
    """
    return [line for line in text.split("\n") if line.strip()]


def key_twice(text: str) -> str | None:
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        found.extend(key for key, count in counts.items() if count > 1)
        return dict(pairs)

    json.loads(text, object_pairs_hook=note)
    return next(iter(found), None)


def read_json(
    path: Path | str, *, limit: int = MAX_BYTES, depth: int = MAX_DEPTH, follow: bool = True
) -> Any:
    content = read_bytes(path, limit=limit, follow=follow)
    return parse_json(content, depth=depth, parts=limit // BYTES_A_PART)


def _require_regular(mode: int, path: Path | str) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for test, name in _KINDS if test(mode)), "no regular file")
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(number, f"is {kind}, not a file", str(path))


NAME: Final = "slm-recipe"
STORE_KEY: Final = "SLM_RECIPE_STORE_KEY_FILE"
"""Variable that names the key of the stores, where machines share one."""


def config_folder() -> Path:
    """Return where the user's own settings stand: keys for signing, prices."""
    return _folder("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """Return where the engine keeps what it knows of this user and machine: consent, the key of the stores."""
    return _folder("XDG_STATE_HOME", ".local/state")


def cache_folder() -> Path:
    return _folder("XDG_CACHE_HOME", ".cache")


def packages_folder() -> Path:
    """Return where archives of packages are kept, for all projects. RuntimeError for a user without a home folder."""
    # beside the cache and not in it: a run, which may write there, could leave a file that nobody can read to its end
    return cache_folder().with_name(f"{NAME}-packages")


def bytecode_folder() -> Path:
    # beside the cache and not in it: all runs import it, so none may write it
    return cache_folder().with_name(f"{NAME}-bytecode")


def _folder(variable: str, beside_home: str) -> Path:
    configured = Path(os.environ.get(variable, ""))
    # A relative one would be a folder of whatever project one stands in; the XDG specification says to ignore it.
    root = configured if configured.is_absolute() else Path.home() / beside_home
    return root / NAME
