"""Live progress: one redrawn line on a terminal, occasional plain lines in logs.

Both satisfy `engine.artifacts.stage.Progress`. One object serves one stage, is safe to call from
threads, and writes nothing after `close`.
"""

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len

from engine.progress import Progress
from engine.render.number_format import about, size
from engine.render.styled_text import Line, Span, crop, line, pad, printable, to_text

WIDTH = 100
"""Columns used at most, and where the terminal does not tell its own."""
STAGE_WIDTH = 10
"""Columns of the stage name at the start of every line."""
_BAR_WIDTH, _NARROW_BAR = 16, 8
_EIGHTHS = " ▏▎▍▌▋▊▉"
_ALWAYS = 2
"""Spans of a live line that are followed by others: the stage and the bar, then what is counted."""
_REDRAW_SECONDS = 0.1
_PLAIN_SECONDS = 10.0
_PLAIN_PATIENCE_SECONDS = 60.0
_PLAIN_SHARE = 0.1
_WINDOW = 64
_WINDOW_SECONDS = 60.0
_SURE_SECONDS = 2.0
"""An estimate is shown after this long."""

Clock = Callable[[], float]


class Pace:
    """How fast `done` grows, over the last minute; starts anew when another count begins."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._began: tuple[float, int] = (0.0, 0)
        self._what: tuple[int, str] = (0, "")

    def add(self, now: float, done: int, *, total: int, unit: str) -> bool:
        """Take one reading; True when it begins another count."""
        fresh = self._what != (total, unit) or bool(self._points and done < self._points[-1][1])
        if fresh:
            self._points.clear()
            self._what = (total, unit)
            self._began = (now, done)
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[0][0] > _WINDOW_SECONDS:
            self._points.popleft()
        return fresh

    def per_second(self) -> float | None:
        """Units a second, or None while that would be a guess."""
        if not self._points:
            return None
        (began, first), (now, done) = self._points[0], self._points[-1]
        if now - began < _SURE_SECONDS or done <= first:
            return None
        return (done - first) / (now - began)

    def seconds_left(self) -> float | None:
        """By the pace since the count began, pauses such as evaluations included; None while that is a guess."""
        if self.per_second() is None:
            return None
        (began, first), (now, done) = self._began, self._points[-1]
        return (self._what[0] - done) * (now - began) / (done - first)


class PlainProgress:
    """Plain lines of a stage, no control characters: at most one each ten seconds; silence after `close`."""

    def __init__(
        self, stage: str, stream: TextIO, *, verbose: bool = False, clock: Clock = time.monotonic
    ) -> None:
        self._stage, self._stream, self._clock, self._verbose = stage, stream, clock, verbose
        self._pace, self._lock, self._closed = Pace(), threading.Lock(), False
        self._shown_at, self._shown_share = clock(), 0.0

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Show the count if it is time to; see `engine.artifacts.stage.Progress`."""
        with self._lock:
            if self._closed:
                return
            now = self._clock()
            is_fresh = self._pace.add(now, done, total=total, unit=unit)
            if self._is_due(now, done, total, is_fresh=is_fresh):
                self._shown_at = now
                self._show(done, total, unit, facts)

    def note(self, text: str) -> None:
        with self._lock:
            if not self._closed:
                self._keep(text)

    def mention(self, text: str) -> None:
        """Show what is done now; the line stays only where everything is shown."""
        with self._lock:
            if not self._closed:
                (self._keep if self._verbose else self._pass)(text)

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._erase()
            self._closed = True

    def _is_due(self, now: float, done: int, total: int, *, is_fresh: bool) -> bool:
        share, waited = done / total if total else 0.0, now - self._shown_at
        self._shown_share = 0.0 if is_fresh else self._shown_share
        moved = share - self._shown_share >= _PLAIN_SHARE or waited >= _PLAIN_PATIENCE_SECONDS
        if not (waited >= _PLAIN_SECONDS and moved):
            return False
        self._shown_share = share
        return True

    def _show(self, done: int, total: int, unit: str, facts: Mapping[str, str]) -> None:
        self._keep("  ".join(_facts(done, total, unit, facts=facts, pace=self._pace)))

    def _keep(self, text: str) -> None:
        self._stream.write(pad(f"{self._stage} ", STAGE_WIDTH) + printable(text).rstrip() + "\n")
        self._stream.flush()

    def _pass(self, text: str) -> None:
        """Show a line until the next one; a log has none of it."""

    def _erase(self) -> None:
        """Take away what would not stay."""


class TerminalProgress(PlainProgress):
    """One line at the bottom of the terminal, redrawn at most ten times a second.

    The stream must be a terminal that understands carriage return and erase-to-end-of-line.
    """

    def __init__(
        self,
        stage: str,
        stream: TextIO,
        *,
        colour: bool = True,
        verbose: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(stage, stream, verbose=verbose, clock=clock)
        self._colour, self._blocks = colour, _can_write(stream, "█▌…")
        self._shown_at = -_REDRAW_SECONDS
        self._line: Line = ()

    def _is_due(self, now: float, done: int, total: int, *, is_fresh: bool) -> bool:
        return is_fresh or done == total or now - self._shown_at >= _REDRAW_SECONDS

    def _show(self, done: int, total: int, unit: str, facts: Mapping[str, str]) -> None:
        width = _BAR_WIDTH if columns(self._stream) >= WIDTH else _NARROW_BAR
        bar = _bar(done, total, width, blocks=self._blocks)
        head, *shown = _facts(done, total, unit, facts=facts, pace=self._pace)
        self._draw(line(self._head(), (bar, "bar"), f"  {head}", *(f"  {one}" for one in shown)))

    def _keep(self, text: str) -> None:
        kept = line(" " * STAGE_WIDTH + printable(text))
        self._stream.write("\r\x1b[K" + to_text([kept], colour=self._colour))
        self._draw(self._line)

    def _pass(self, text: str) -> None:
        self._draw(line(self._head(), printable(text)))

    def _head(self) -> Span:
        return pad(f"{self._stage} ", STAGE_WIDTH), "strong"

    def _erase(self) -> None:
        """The stage's result line takes the place of the live one."""
        if self._line:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self, spans: Line) -> None:
        self._line = spans
        # The last column stays free: a full line may wrap, and `\r` would then lead to the wrong one.
        room, kept = columns(self._stream) - 1, list[Span]()
        # As many spans as fit, each whole; what is counted, which is the third, is cropped.
        for text, style in spans:
            shown = crop(text, room)
            if shown != text and len(kept) > _ALWAYS:
                break
            kept.append((shown, style))
            room -= cell_len(shown)
        self._stream.write(
            "\r" + to_text([tuple(kept)], colour=self._colour).rstrip("\n") + "\x1b[K"
        )
        self._stream.flush()


class SilentProgress:
    """Says nothing: for `--quiet` and for callers that only want the result."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


def open_progress(
    stage: str,
    stream: TextIO,
    *,
    verbose: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> TerminalProgress | PlainProgress:
    if is_live(stream, environ=environ):
        colour = has_colour(stream, environ=environ)
        return TerminalProgress(stage, stream, colour=colour, verbose=verbose)
    return PlainProgress(stage, stream, verbose=verbose)


@contextmanager
def progress_on_terminal(stage: str, stream: TextIO) -> Iterator[Progress]:
    """Progress where the stream is a terminal, else silence; closed at the end."""
    progress = open_progress(stage, stream) if is_live(stream) else SilentProgress()
    try:
        yield progress
    finally:
        progress.close()


def is_live(stream: TextIO, *, environ: Mapping[str, str] = os.environ) -> bool:
    """A line on this stream can be redrawn."""
    return stream.isatty() and environ.get("TERM", "") != "dumb"


def has_colour(stream: TextIO, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Colour is wanted on this stream: a live terminal, and NO_COLOR is unset or empty."""
    return is_live(stream, environ=environ) and not environ.get("NO_COLOR")


def _count(done: int, total: int, unit: str) -> str:
    """`3/9 steps`, or `3 steps` where nobody knows how many there will be; `21 of 93 MB`."""
    if unit == "bytes":
        return f"{size(done)} of {size(total)}" if total else size(done)
    return f"{done}/{total} {unit}" if total else f"{done} {unit}"


def _facts(
    done: int, total: int, unit: str, *, facts: Mapping[str, str], pace: Pace
) -> Iterator[str]:
    """What is counted, the time left, what else is known, and the rate: the last ones are left out first."""
    yield printable(" ".join(filter(None, (facts.get("of"), _count(done, total, unit)))))
    rate, left, run = pace.per_second(), pace.seconds_left(), facts.get("run")
    if done < total and left is not None:
        yield f"about {about(left)} left{f', run {run}' if run else ''}"
    elif run:
        yield f"run: {run} left"
    shown = [_fact(name, value) for name, value in facts.items() if name not in ("of", "run")]
    yield from map(printable, shown)
    if rate is not None and not any("/s" in fact for fact in shown):
        yield _rate(rate, unit)


def _fact(name: str, value: str) -> str:
    if name.endswith("_per_second"):
        return f"{value} {name.removesuffix('_per_second').replace('tokens', 'tok')}/s"
    return f"{name.replace('_', ' ')} {value}"


def _rate(rate: float, unit: str) -> str:
    if unit == "bytes":
        return f"{size(round(rate))}/s"
    if rate >= 1:
        return f"{rate:.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"
    return f"{1 / rate:.1f} s/{unit.removesuffix('s')}"


def _bar(done: int, total: int, width: int, *, blocks: bool) -> str:
    share = min(1.0, max(0.0, done / total)) if total else 0.0
    if not blocks:
        return ("#" * int(share * width)).ljust(width, ".")
    full, eighth = divmod(int(share * width * 8), 8)
    return ("█" * full + (_EIGHTHS[eighth] if eighth else "")).ljust(width)


def columns(stream: TextIO) -> int:
    """Columns to write in: the terminal's, at most `WIDTH`; `WIDTH` where there is no terminal."""
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        # No terminal, but the variable COLUMNS may be set.
        found = shutil.get_terminal_size((WIDTH, 24)).columns
    # Some pseudo-terminals say that they have no columns at all.
    return min(WIDTH, found or WIDTH)


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
