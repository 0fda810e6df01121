"""Live progress: one redrawn line on a terminal, occasional plain lines in logs.

Both satisfy `engine.artifacts.stage.Progress`. One object serves one stage, is safe to call from
threads, and writes nothing after `close`.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TextIO

from engine.render.number_format import about
from engine.render.styled_text import Line, cells, crop, line, pad, printable, to_text

WIDTH = 100
"""Columns used at most, and where the terminal does not tell its own."""
STAGE_WIDTH = 10
"""Columns of the stage name at the start of every line."""
_BAR_WIDTH = 16
_EIGHTHS = " ▏▎▍▌▋▊▉"
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


class _Progress:
    """What both kinds share: a stage's name, a pace, a lock, and silence after `close`."""

    def __init__(self, stage: str, stream: TextIO, *, clock: Clock = time.monotonic) -> None:
        self._stage, self._stream, self._clock = stage, stream, clock
        self._pace, self._lock, self._closed = Pace(), threading.Lock(), False

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Show the count if it is time to; see `engine.artifacts.stage.Progress`."""
        with self._lock:
            if self._closed:
                return
            now = self._clock()
            is_fresh = self._pace.add(now, done, total=total, unit=unit)
            if self._is_due(now, done, total, is_fresh=is_fresh):
                self._show(done, total, unit, facts)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        with self._lock:
            if not self._closed:
                self._keep(text)

    def close(self) -> None:
        """Write nothing more."""
        with self._lock:
            if not self._closed:
                self._erase()
            self._closed = True

    def _is_due(self, now: float, done: int, total: int, *, is_fresh: bool) -> bool:
        raise NotImplementedError

    def _show(self, done: int, total: int, unit: str, facts: Mapping[str, str]) -> None:
        raise NotImplementedError

    def _keep(self, text: str) -> None:
        raise NotImplementedError

    def _erase(self) -> None:
        """Take away what would not stay."""


class TerminalProgress(_Progress):
    """One line at the bottom of the terminal, redrawn at most ten times a second."""

    def __init__(
        self, stage: str, stream: TextIO, *, colour: bool = True, clock: Clock = time.monotonic
    ) -> None:
        """`stream` must be a terminal that understands carriage return and erase-to-end-of-line."""
        super().__init__(stage, stream, clock=clock)
        self._colour, self._blocks = colour, _can_write(stream, "█▌…")
        self._drawn_at = -_REDRAW_SECONDS
        self._line: Line = ()

    def _is_due(self, now: float, done: int, total: int, *, is_fresh: bool) -> bool:
        is_due = is_fresh or done == total or now - self._drawn_at >= _REDRAW_SECONDS
        self._drawn_at = now if is_due else self._drawn_at
        return is_due

    def _show(self, done: int, total: int, unit: str, facts: Mapping[str, str]) -> None:
        head, text = pad(f"{self._stage} ", STAGE_WIDTH), f"  {_count(done, total, unit)}"
        bar = _bar(done, total, blocks=self._blocks)
        shown = _facts(done, total, unit, facts=facts, pace=self._pace)
        self._draw(line((head, "strong"), (bar, "bar"), text, shown))

    def _keep(self, text: str) -> None:
        kept = line(" " * STAGE_WIDTH + printable(text))
        self._stream.write("\r\x1b[K" + to_text([kept], colour=self._colour))
        self._draw(self._line)

    def _erase(self) -> None:
        """The stage's result line takes the place of the live one."""
        if self._line:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self, spans: Line) -> None:
        self._line = spans
        # The last column stays free: a full line may wrap, and `\r` would then lead to the wrong
        # one.
        fitted = _fitted(spans, columns(self._stream) - 1)
        self._stream.write("\r" + to_text([fitted], colour=self._colour).rstrip("\n") + "\x1b[K")
        self._stream.flush()


class PlainProgress(_Progress):
    """Plain lines, no control characters: start, end, and at most one each ten seconds."""

    def __init__(self, stage: str, stream: TextIO, *, clock: Clock = time.monotonic) -> None:
        super().__init__(stage, stream, clock=clock)
        self._written_at, self._written_share = 0.0, 0.0

    def _is_due(self, now: float, done: int, total: int, *, is_fresh: bool) -> bool:
        share, waited = done / total if total else 0.0, now - self._written_at
        moved = share - self._written_share >= _PLAIN_SHARE or waited >= _PLAIN_PATIENCE_SECONDS
        is_done = share >= 1.0 > self._written_share
        if not (is_fresh or is_done or (waited >= _PLAIN_SECONDS and moved)):
            return False
        self._written_at, self._written_share = now, share
        return True

    def _show(self, done: int, total: int, unit: str, facts: Mapping[str, str]) -> None:
        shown = _facts(done, total, unit, facts=facts, pace=self._pace)
        self._keep(f"{_count(done, total, unit)}{shown}")

    def _keep(self, text: str) -> None:
        self._stream.write(pad(f"{self._stage} ", STAGE_WIDTH) + printable(text).rstrip() + "\n")
        self._stream.flush()


class SilentProgress:
    """Says nothing: for `--quiet` and for callers that only want the result."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_progress(
    stage: str, stream: TextIO, *, environ: Mapping[str, str] = os.environ
) -> TerminalProgress | PlainProgress:
    """The progress that fits the stream: live on a terminal, plain elsewhere."""
    if is_live(stream, environ=environ):
        return TerminalProgress(stage, stream, colour=has_colour(stream, environ=environ))
    return PlainProgress(stage, stream)


def is_live(stream: TextIO, *, environ: Mapping[str, str] = os.environ) -> bool:
    """A line on this stream can be redrawn."""
    return stream.isatty() and environ.get("TERM", "") != "dumb"


def has_colour(stream: TextIO, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Colour is wanted on this stream: a live terminal, and NO_COLOR is unset or empty."""
    return is_live(stream, environ=environ) and not environ.get("NO_COLOR")


def _count(done: int, total: int, unit: str) -> str:
    """`3/9 steps`, or `3 steps` where nobody knows how many there will be."""
    return f"{done}/{total} {unit}" if total else f"{done} {unit}"


def _facts(done: int, total: int, unit: str, *, facts: Mapping[str, str], pace: Pace) -> str:
    """Facts, the rate and the time left, two spaces before each."""
    shown = [_fact(name, value) for name, value in facts.items()]
    rate, left = pace.per_second(), pace.seconds_left()
    if rate is not None:
        if not any("/s" in fact for fact in shown):
            shown.append(_rate(rate, unit))
        if done < total and left is not None:
            shown.append(f"about {about(left)} left")
    return "".join(f"  {printable(fact)}" for fact in shown)


def _fact(name: str, value: str) -> str:
    if name.endswith("_per_second"):
        return f"{value} {name.removesuffix('_per_second').replace('tokens', 'tok')}/s"
    return f"{name.replace('_', ' ')} {value}"


def _rate(rate: float, unit: str) -> str:
    if rate >= 1:
        return f"{rate:.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"
    return f"{1 / rate:.1f} s/{unit.removesuffix('s')}"


def _bar(done: int, total: int, *, blocks: bool) -> str:
    share = min(1.0, max(0.0, done / total)) if total else 0.0
    if not blocks:
        return ("#" * int(share * _BAR_WIDTH)).ljust(_BAR_WIDTH, ".")
    full, eighth = divmod(int(share * _BAR_WIDTH * 8), 8)
    return ("█" * full + (_EIGHTHS[eighth] if eighth else "")).ljust(_BAR_WIDTH)


def _fitted(spans: Line, room: int) -> Line:
    """As many spans as fit, the last of them cropped."""
    kept = []
    for text, style in spans:
        shown = crop(text, room)
        kept.append((shown, style))
        room -= cells(shown)
        if shown != text:
            break
    return tuple(kept)


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
