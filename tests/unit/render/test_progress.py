import io
import re
from contextlib import closing

import pytest

from engine.progress import NamedProgress, mention
from engine.render.progress_display import (
    PlainProgress,
    TerminalProgress,
    has_colour,
    open_progress,
)


class Terminal(io.StringIO):
    def __init__(self, *, live: bool = True, encoding: str = "utf-8") -> None:
        super().__init__()
        self._live, self._encoding = live, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._live

    def lines(self) -> list[str]:
        shown = re.sub(r"\x1b\[[0-9;]*[mK]", "", self.getvalue())
        return [line for line in shown.split("\r") if line]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def walk(progress: PlainProgress | TerminalProgress, clock: Clock, seconds: float = 2.0) -> None:
    for step in range(51):
        clock.now = step * seconds
        progress.update(step, 50, "steps", loss="0.21", tokens_per_second="218")


def test_the_live_line_reads_like_the_design() -> None:
    stream, clock = Terminal(), Clock()
    progress = TerminalProgress("train", stream, colour=False, clock=clock)

    for step in range(35):
        clock.now = step * 2.0
        progress.update(step, 50, "steps", loss="0.21", tokens_per_second="218")

    bar = "██████████▉"
    expected = f"train     {bar:16}  34/50 steps  about 30 s left  loss 0.21  218 tok/s"
    assert stream.lines()[-1] == expected


def test_the_live_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream, clock = Terminal(), Clock()

    walk(TerminalProgress("train", stream, clock=clock), clock)

    assert max(map(len, stream.lines())) <= 39


def test_eighty_columns_show_the_time_left_before_losses_and_crop_no_fact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream, clock = Terminal(), Clock()
    progress = TerminalProgress("train", stream, colour=False, clock=clock)
    for step in range(35):
        clock.now = step * 2.0
        facts = {"validation_loss": "4.91", "loss": "0.163", "rows_per_second": "9.2"}
        progress.update(step, 50, "steps", run="at least 2 min 30 s", **facts)

    expected = "train     █████▍    34/50 steps  about 30 s left, run at least 2 min 30 s"
    assert stream.lines()[-1] == expected


def test_what_is_evaluated_is_named_and_the_run_s_time_is_shown_before_a_pace_is_known() -> None:
    stream = Terminal()

    TerminalProgress("evaluate", stream, colour=False).update(
        3, 300, "rows", of="holdout", run="3 min"
    )

    assert stream.lines()[-1] == "evaluate  ▏                 holdout 3/300 rows  run: 3 min left"


def test_a_download_is_shown_in_megabytes() -> None:
    stream = Terminal()

    TerminalProgress("baseline", stream, colour=False).update(13631488, 92871040, "bytes")

    assert stream.lines()[-1].endswith("  14 MB of 93 MB")


@pytest.mark.parametrize(("verbose", "lines"), [(False, []), (True, ["data      fetching a 1.0"])])
def test_what_is_done_now_stays_only_where_everything_is_shown(
    verbose: bool, lines: list[str]
) -> None:
    log, terminal = Terminal(live=False), Terminal()

    mention(PlainProgress("data", log, verbose=verbose), "fetching a 1.0")
    mention(TerminalProgress("data", terminal, colour=False, verbose=verbose), "fetching a 1.0")

    assert log.getvalue().splitlines() == lines
    assert "fetching a 1.0" in terminal.getvalue()
    assert terminal.getvalue().count("\n") == len(lines)


def test_a_progress_that_has_a_name_passes_it_on_with_the_name_of_its_part() -> None:
    stream = Terminal()
    outer = NamedProgress(of="seed 2", inner=TerminalProgress("seeds", stream, colour=False))

    NamedProgress(of="holdout", inner=outer).update(1, 2, "rows")

    assert stream.lines()[-1].endswith("  seed 2 holdout 1/2 rows")


def test_the_live_line_is_redrawn_at_most_ten_times_a_second() -> None:
    stream, clock = Terminal(), Clock()
    progress = TerminalProgress("train", stream, colour=False, clock=clock)

    for row in range(1000):
        clock.now = row / 1000
        progress.update(row, 2000, "rows")

    assert len(stream.lines()) <= 11


def test_a_note_stays_above_the_live_line() -> None:
    stream = Terminal()
    progress = TerminalProgress("data", stream, colour=False)

    progress.update(1, 2, "files")
    progress.note("a note\x1b[2J")

    assert stream.getvalue().count("\n") == 1
    assert stream.lines()[-2:][0] == "          a note\\x1b[2J\n"


def test_closing_erases_the_line_and_silences_it() -> None:
    stream = Terminal()
    with closing(TerminalProgress("data", stream, colour=False)) as progress:
        progress.update(1, 2, "files")
    shown = stream.getvalue()

    progress.update(2, 2, "files")
    progress.note("late")

    assert shown.endswith("\r\x1b[K")
    assert stream.getvalue() == shown


def test_a_stream_without_block_characters_gets_a_plain_bar() -> None:
    stream = Terminal(encoding="ascii")

    TerminalProgress("data", stream, colour=False).update(1, 2, "files")

    assert stream.lines() == ["data      ########........  1/2 files"]


def test_logs_get_few_plain_lines() -> None:
    stream, clock = Terminal(live=False), Clock()

    walk(PlainProgress("train", stream, clock=clock), clock)

    lines = stream.getvalue().splitlines()
    assert lines[0] == "train     5/50 steps  about 2 min left  loss 0.21  218 tok/s"
    assert lines[-1] == "train     45/50 steps  about 10 s left  loss 0.21  218 tok/s"
    assert len(lines) <= 10
    assert stream.getvalue().isprintable() or set("\r\x1b").isdisjoint(stream.getvalue())


def test_logs_of_long_work_get_a_line_a_minute_at_least() -> None:
    stream, clock = Terminal(live=False), Clock()
    progress = PlainProgress("train", stream, clock=clock)

    for step in range(11):
        clock.now = step * 30.0
        progress.update(step, 1000, "steps")

    assert len(stream.getvalue().splitlines()) == 5


def test_another_count_starts_the_pace_anew() -> None:
    stream, clock = Terminal(), Clock()
    progress = TerminalProgress("baseline", stream, colour=False, clock=clock)
    progress.update(0, 300, "rows")
    clock.now = 5.0
    progress.update(200, 300, "rows")
    shown = stream.lines()[-1]

    progress.update(0, 300, "rows")

    assert "left" in shown
    assert stream.lines()[-1].endswith("  0/300 rows")


def test_the_name_of_a_stage_stands_apart_from_what_it_has_done() -> None:
    stream, clock = Terminal(live=False), Clock()
    progress = PlainProgress("soft_targets", stream, clock=clock)
    clock.now = 10.0
    progress.update(30, 300, "rows")

    assert stream.getvalue().splitlines() == ["soft_targets 30/300 rows"]


def test_slow_units_are_shown_in_seconds_each() -> None:
    stream, clock = Terminal(live=False), Clock()
    progress = PlainProgress("train", stream, clock=clock)
    progress.update(0, 10, "steps")
    clock.now = 12.0
    progress.update(2, 10, "steps")

    assert stream.getvalue().splitlines()[-1] == "train     2/10 steps  about 50 s left  6.0 s/step"


@pytest.mark.parametrize(
    ("live", "environ", "kind"),
    [
        (True, {}, TerminalProgress),
        (True, {"TERM": "dumb"}, PlainProgress),
        (False, {}, PlainProgress),
    ],
)
def test_the_stream_decides_the_kind(live: bool, environ: dict[str, str], kind: type) -> None:
    assert isinstance(open_progress("data", Terminal(live=live), environ=environ), kind)


def test_no_color_is_honoured() -> None:
    assert has_colour(Terminal(), environ={})
    assert not has_colour(Terminal(), environ={"NO_COLOR": "1"})


def test_a_count_that_nobody_knows_the_end_of_is_shown_alone_and_seldom_logged() -> None:
    stream, clock = Terminal(live=False), Clock()
    progress = PlainProgress("data", stream, clock=clock)
    for second in range(1, 91):
        clock.now = float(second)
        progress.update(second * 5000, 0, "rows", file="a.jsonl")

    assert stream.getvalue().splitlines() == ["data      300000 rows  file a.jsonl  5000 rows/s"]
