"""Files changed at random, from a seed, and readers that may only read them or refuse them with a code.

`benchmarks/fuzz.py` looks for longer than the tests do.
"""

import contextlib
import copy
import json
import random
import signal
import time
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from engine.errors import EngineError
from support.fuzz_target import Target
from support.fuzz_targets import CONFIG
from support.odd_values import ODD, PIECES
from support.project import BASE, rows

SECONDS: Final = 25.0
"""Of processor time, for anything: then it hangs."""
MOST_SECONDS: Final = 15.0
"""For an input that is read after all; limits of the engine on patterns and templates are shorter."""


class HangError(BaseException):
    """A reader does not end. No `Exception`, which it might catch."""


class FoundError(AssertionError):
    """A reader ended otherwise than it may."""

    def __init__(self, name: str, seed: str, kind: str, content: bytes) -> None:
        super().__init__(f"{name}, seed {seed}: {kind}\n{content[:400]!r}")
        self.name, self.kind, self.content = name, kind, content

    @property
    def place(self) -> str:
        """What stays the same while the content is made smaller."""
        return self.kind.partition(": ")[0] if self.kind[:9] != "Assertion" else self.kind


def fuzz(target: Target, *, seed: int, cases: int, folder: Path) -> None:
    """Have a file read that was changed in so many ways. FoundError with the seed of the case."""
    read_unchanged(target, folder)
    for number in range(cases):
        fuzz_once(target, f"{seed}.{number}", folder)


def read_unchanged(target: Target, folder: Path) -> None:
    """Have a file read as it is: what its reader imports for that is no part of a later input's time."""
    path = _written(target, target.content, folder)
    # Some are drawn from a grammar: their file is none that is read.
    with contextlib.suppress(EngineError):
        target.read(path)


def fuzz_once(target: Target, seed: str, folder: Path) -> str:
    """Return `read` or `refused`. FoundError where the reader ends otherwise, or takes too much."""
    content = changed(target, random.Random(f"{target.name}.{seed}"))
    return read_once(target, content, folder, seed=seed)


def read_once(target: Target, content: bytes, folder: Path, *, seed: str = "") -> str:
    """Have one content read. As `fuzz_once`."""
    path = _written(target, content, folder)
    started = time.process_time()
    try:
        with _within(SECONDS):
            target.read(path)
    except EngineError as error:
        if any(problem.code == "I900" for problem in error.problems):
            raise FoundError(target.name, seed, "I900", content) from error
        return "refused"
    # A clock that never comes back, and memory that is gone, are what is looked for.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise FoundError(target.name, seed, _kind(error), content) from error
    if (took := time.process_time() - started) > MOST_SECONDS:
        raise FoundError(target.name, seed, f"takes {took:.0f} s", content)
    return "read"


def _written(target: Target, content: bytes, folder: Path) -> Path:
    path = folder / target.name
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def _kind(error: BaseException) -> str:
    """Return the exception and the last place of the engine, by which failures are distinguished."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if "/engine/" in one.filename]
    where = f"{own[-1].filename.partition('/engine/')[2]}:{own[-1].name}" if own else "outside"
    first = str(error).strip().splitlines()[-1:] or [""]
    return f"{type(error).__name__} in {where}: {first[0][:120]}"


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise HangError in what takes longer, by the processor's clock; the engine's own limits use another timer."""

    def stop(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def minimised(target: Target, failure: FoundError, folder: Path, *, tries: int = 300) -> bytes:
    """Return the least content found that fails in the same way: parts are taken out while it does."""
    content, size = failure.content, max(1, len(failure.content) // 2)
    while size and tries:
        at = 0
        while at < len(content) and tries:
            shorter, tries = content[:at] + content[at + size :], tries - 1
            try:
                read_once(target, shorter, folder)
            except FoundError as error:
                if error.place == failure.place:
                    content = shorter
                    continue
            at += size
        size //= 2
    return content


def changed(target: Target, draw: random.Random) -> bytes:
    if target.draw is not None and draw.random() < 0.7:
        return target.draw(draw)
    if target.load is None or draw.random() < 0.3:
        return changed_bytes(target.content, draw)
    value = copy.deepcopy(_whole(target))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        value = changed_value(value, draw)
    try:
        return target.dump(value).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):
        return changed_bytes(target.content, draw)


@cache
def _whole(target: Target) -> Any:
    """Return the value of the target's own file, of which each input changes a copy."""
    return target.load(target.content.decode()) if target.load else None


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
