"""Files changed at random, from a seed, and readers that may only read them or refuse them with a code.

`PYTHONPATH=tests python -m support.fuzzing SECONDS [SEED]` looks for longer than the tests do, and prints what it finds
with its seed.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from engine.errors import EngineError
from support.fuzz_targets import CONFIG, Target, targets
from support.project import BASE, rows

ODD: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        10**9,
        -(10**9),
        2**63,
        10**400,
        0.5,
        -0.0,
        1e308,
        float("nan"),
        float("inf"),
    ),
    *(
        "",
        " ",
        "x",
        "x" * 5000,
        "a\nb",
        "tiny\n",
        "\0",
        "\x1b]0;x\x07",
        "\u202e",
        "\ud800",
        "../..",
        "/",
        "~",
        "*",
        "**/*",
        "{",
        "}",
        "{a}",
        "{{",
        "${x}",
    ),
    *(
        "(a+)+$",
        "(",
        "[",
        "a{99999999999}",
        "#/$defs/x",
        "http://x/y",
        "file:///etc/passwd",
        "1e999",
        "2026-01-01",
        "null",
        "yes",
    ),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": {"c": []}}}, ["x"] * 3000, [1, "1", None, {}]),
)
"""Values that take the place of one that was meant."""
PIECES: Final = (
    *(
        b"",
        b"\0",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\r",
        b"\r\n",
        b'"',
        b"'",
        b",",
        b";",
        b"\t",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"<",
        b">",
        b"&",
        b"&x;",
        b"<!DOCTYPE",
        b"<![CDATA[",
        b"-->",
        b"\\ud800",
        b"\\u0000",
        b"NaN",
        b"1e999",
        b"9" * 5000,
    ),
    *(
        b"[" * 3000,
        b'{"a":' * 3000,
        b"<a>" * 1500,
        b"*a",
        b"&a ",
        b"!!python/object:os.system ",
        b": ",
        b"- ",
        b"\x1b[2J",
        b"PAR1",
    ),
)
"""Bytes that are put in."""


class FoundError(AssertionError):
    """A reader ended otherwise than it may."""


def fuzz(target: Target, *, seed: int, cases: int, folder: Path) -> None:
    """Have a file read that was changed in so many ways. FoundError with the seed of the case."""
    for number in range(cases):
        fuzz_once(target, f"{seed}.{number}", folder)


def fuzz_once(target: Target, seed: str, folder: Path) -> None:
    draw = random.Random(f"{target.name}.{seed}")
    content = changed(target, draw)
    path = folder / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    started = time.process_time()
    try:
        target.read(path)
    except EngineError:
        pass
    except Exception as error:
        trace = "".join(traceback.format_exception(error)[-4:])
        raise FoundError(f"{target.name}, seed {seed}: {trace}\n{content[:400]!r}") from error
    if time.process_time() - started > 10:
        raise FoundError(f"{target.name}, seed {seed}: takes {time.process_time() - started:.0f} s")


def changed(target: Target, draw: random.Random) -> bytes:
    if target.load is None or draw.random() < 0.3:
        return changed_bytes(target.content, draw)
    value = copy.deepcopy(target.load(target.content.decode()))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        value = changed_value(value, draw)
    try:
        return target.dump(value).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):
        return changed_bytes(target.content, draw)


def changed_bytes(content: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        at, more = draw.randrange(len(content) + 1), draw.randrange(1, 200)
        piece = draw.choice(PIECES)
        content = draw.choice(
            (
                lambda: content[:at],
                lambda: content[:at] + piece + content[at:],
                lambda: content[:at] + piece + content[at + more :],
                lambda: content[:at] + content[at + more :],
                lambda: content[:at] + content[at : at + more] * 3 + content[at + more :],
                lambda: content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :],
            )
        )()
    return content


def changed_value(value: Any, draw: random.Random) -> Any:
    """Return the value with one thing in it replaced, taken out, doubled or renamed."""
    places = list(_places(value))
    if not places:
        return draw.choice(ODD)
    holder, key = draw.choice(places)
    how = draw.random()
    if how < 0.6:
        holder[key] = copy.deepcopy(draw.choice(ODD))
    elif how < 0.75:
        del holder[key]
    elif how < 0.9:
        other, place = draw.choice(places)
        with contextlib.suppress(KeyError, IndexError):
            holder[key] = copy.deepcopy(other[place])
    elif isinstance(holder, dict):
        name = draw.choice([one for one in ODD if isinstance(one, str)])
        holder[name] = holder.pop(key)
    else:
        holder.extend(copy.deepcopy(holder))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, below in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(below)


def prepare(folder: Path) -> None:
    """Write what the recipes name into a folder."""
    (folder / "base").mkdir()
    (folder / "base" / "config.json").write_text(json.dumps(CONFIG))
    lines = "".join(f'"{text}",{label}\n' for text, label in rows(140))
    (folder / "rows.csv").write_text(f"text,label\n{lines}")
    (folder / "base.yaml").write_text(yaml.safe_dump(dict(BASE), sort_keys=False))


def _search(seconds: float, seed: int) -> int:
    """Look for failures for some time, round robin; return how many kinds there are."""
    ends, seen, number = time.monotonic() + seconds, set[str](), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        with contextlib.chdir(folder):
            while time.monotonic() < ends:
                for target in targets().values():
                    try:
                        fuzz_once(target, f"{seed}.{number}", folder)
                    except FoundError as error:
                        kind = str(error).splitlines()[-2][:150]
                        if kind not in seen:
                            seen.add(kind)
                            print(error, "\n", flush=True)
                number += 1
    print(f"{number:,} rounds of {len(targets())} readers, {len(seen)} kinds of failures")
    return len(seen)


if __name__ == "__main__":
    sys.exit(bool(_search(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
