"""Ten ways in which files of an artifact are damaged from outside, each drawn by a seed."""

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

Damage = Callable[[Path, random.Random], object]
"""Damages the artifact in a folder that holds `artifact.json` and `files`."""
MANIFEST: Final = "artifact.json"
WRONG: Final = ("[]", "{}", "null", "3", '"text"', '[{"a": [null]}]')


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "files").rglob("*") if path.is_file())


def _one(folder: Path, draw: random.Random, *, ending: str = "") -> Path:
    found = [path for path in _files(folder) if path.name.endswith(ending)]
    filled = [path for path in found if path.stat().st_size] or found or _files(folder)
    return draw.choice(filled)


def _write(path: Path, content: bytes) -> None:
    """Write into the same file, keeping its times: links to it and whoever looks at the time see nothing."""
    status = path.stat()
    with path.open("r+b") as stream:
        stream.write(content)
        stream.truncate()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def zero_the_middle(path: Path) -> None:
    """Put zeros over the middle third of a file."""
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    path.write_bytes(content)


def truncated(folder: Path, draw: random.Random) -> None:
    path = _one(folder, draw)
    content = path.read_bytes()
    _write(path, content[: draw.randrange(len(content) or 1)])


def zeroed(folder: Path, draw: random.Random) -> None:
    path = _one(folder, draw)
    content = path.read_bytes()
    third = len(content) // 3
    changed = content[:third] + bytes(max(1, third)) + content[third + max(1, third) :]
    _write(path, changed if changed != content else b"\1" + content[1:])


def flipped(folder: Path, draw: random.Random) -> None:
    path = _one(folder, draw)
    content = bytearray(path.read_bytes() or b"\0")
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    _write(path, bytes(content))


def lengthened(folder: Path, draw: random.Random) -> None:
    path = _one(folder, draw)
    _write(path, path.read_bytes() + draw.randbytes(1 + draw.randrange(64)))


def swapped(folder: Path, draw: random.Random) -> None:
    path = _one(folder, draw)
    others = [one for one in _files(folder) if one.read_bytes() != path.read_bytes()]
    content = draw.choice(others).read_bytes() if others else path.read_bytes()[::-1] + b"\n"
    _write(path, content)


def deleted(folder: Path, draw: random.Random) -> None:
    _one(folder, draw).unlink()


def emptied(folder: Path, draw: random.Random) -> None:
    _write(_one(folder, draw), b"")


def of_another_type(folder: Path, draw: random.Random) -> None:
    path = _one(folder, draw, ending=".json")
    _write(path, draw.choice([one for one in WRONG if one.encode() != path.read_bytes()]).encode())


def linked(folder: Path, draw: random.Random) -> None:
    path = _one(folder, draw)
    elsewhere = folder.with_name(f"{folder.name}-elsewhere")
    shutil.copyfile(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


def with_a_changed_manifest(folder: Path, draw: random.Random) -> None:
    path = folder / MANIFEST
    record = json.loads(path.read_text(encoding="utf-8"))
    match draw.randrange(4):
        case 0:
            path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
            return
        case 1:
            record["files"][0]["sha256"] = "0" * 64
        case 2:
            record["files"] = record["files"][1:] or None
        case _:
            record["stage"] = ["not", "a", "name"]
    path.write_text(json.dumps(record), encoding="utf-8")


DAMAGES: Final[Mapping[str, Damage]] = {
    damage.__name__.replace("_", " "): damage
    for damage in (
        *(truncated, zeroed, flipped, lengthened, swapped, deleted, emptied, of_another_type),
        *(linked, with_a_changed_manifest),
    )
}
