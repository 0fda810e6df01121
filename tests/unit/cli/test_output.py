"""What reaches the terminal of texts that somebody else wrote."""

import io
import json

import pytest

from engine.cli.main import main, report_bug
from engine.cli.output import show, show_json
from engine.render.styled_text import cleaned, line, to_text

HOSTILE = "a\x1b]0;title\x07\x1b[2J\u202eb\x9b31m\u2066\x7f\r"


def raw(text: str) -> list[str]:
    return [one for one in text if one != "\n" and not one.isprintable()]


def test_a_result_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    show(f"{HOSTILE}\nsecond\tcolumn")

    out = capsys.readouterr().out
    assert raw(out) == ["\t"]
    assert "\\u001b]0;title\\u0007" in out


def test_a_result_for_programs_holds_it_as_escapes_that_read_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_json({"text": HOSTILE})

    out = capsys.readouterr().out
    assert raw(out) == []
    assert json.loads(out) == {"text": HOSTILE}


def test_our_own_colours_stay_and_no_others() -> None:
    ours = to_text([line(("good", "pass"), ("quiet", "quiet"), ("hint", "hint"))], colour=True)

    assert cleaned(ours, colour=True) == ours
    assert cleaned("\x1b[8mhidden\x1b[5;1H", colour=True) == "\\u001b[8mhidden\\u001b[5;1H"


def test_what_nobody_sees_is_written_as_json_does(capsys: pytest.CaptureFixture[str]) -> None:
    """The letters of tags hide whole sentences from people and not from agents; joiners shape words and emoji."""
    text = "fine\U000e0041\U000e007f bu\u200bg\xad\ufeff \u0645\u06cc\u200c\u062e"

    show_json(text)

    out = capsys.readouterr().out
    assert (json.loads(out), raw(out)) == (text, ["\u200c"])


def test_half_a_surrogate_and_an_old_terminal_are_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)

    show("\udcff é …")

    stream.seek(0)
    assert stream.read() == "\\udcff \\xe9 \\u2026\n"


def test_a_verb_that_is_none_is_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([HOSTILE]) == 2

    assert raw(capsys.readouterr().err) == []


def test_a_bug_about_half_a_surrogate_can_be_written_down(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report_bug(ValueError("\udcff"), ["plan", "\udcff.yaml"]) == 4

    assert "a report to paste" in capsys.readouterr().err
