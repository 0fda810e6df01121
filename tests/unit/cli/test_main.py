import gc
import io
import json
import os
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import __version__
from engine.cli.main import main, report_bug
from engine.cli.output import show, show_json
from engine.cli.verbs import VERBS, probability, seconds, whole
from engine.render.styled_text import cleaned, line, to_text
from support.paths import ROOT


def test_without_arguments_it_helps_and_says_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([])

    output = capsys.readouterr().out
    assert left.value.code == 0
    assert all(verb in output for verb in VERBS)


def test_an_unknown_verb_is_a_usage_mistake_with_the_nearest_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["vaildate", "x.yaml"]) == 2
    assert "did you mean `validate`?" in capsys.readouterr().err


def test_a_missing_argument_is_a_usage_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run"])

    assert left.value.code == 2
    assert "RECIPE" in capsys.readouterr().err


def test_a_bug_is_reported_in_one_line_and_kept_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_: object) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("engine.cli.texts.explain", broken)

    assert main(["explain", "R104"]) == 4
    output = capsys.readouterr().err
    (report,) = (tmp_path / ".recipe" / "logs").iterdir()
    assert "I900" in output
    assert "Traceback" not in output
    assert "ZeroDivisionError: by nothing" in report.read_text(encoding="utf-8")


def test_ctrl_c_ends_with_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.cli.texts.explain", interrupted)

    assert main(["explain"]) == 130


def test_every_verb_says_what_it_does_and_is_a_function() -> None:
    for verb in VERBS.values():
        assert verb.about
        assert callable(verb.function())


def test_errors_are_one_json_object_when_json_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = main(["plan", str(tmp_path / "absent.yaml"), "--format", "json"])
    output = json.loads(capsys.readouterr().out)

    assert code == 2
    assert output["schema"] == "problems.v1"
    assert output["errors"] == 1


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])

    assert capsys.readouterr().out == f"recipe {__version__}\n"


def test_explain_knows_every_code_it_lists(capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain"])
    codes = [line.split()[0] for line in capsys.readouterr().out.splitlines()]

    assert len(codes) > 50
    for code in codes:
        assert main(["explain", code]) == 0
        assert f"{code}  " in capsys.readouterr().out


def test_init_copies_a_recipe_with_its_data_and_never_overwrites(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["init", "quickstart"]) == 0
    assert (tmp_path / "quickstart.yaml").exists()
    assert "next: recipe validate quickstart.yaml" in capsys.readouterr().out

    assert main(["init", "quickstart"]) == 2
    assert "R005" in capsys.readouterr().err


def test_what_init_writes_is_valid_where_it_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["init"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]

    assert len(names) >= 7
    for name in names:
        assert main(["init", name, "-o", f"{name}/{name}.yaml"]) == 0
        assert main(["validate", f"{name}/{name}.yaml"]) == 0, name


@pytest.mark.parametrize(
    ("start", "hint"),
    [
        ("ticket.csv", "did you mean `tickets.csv`?"),
        ("./ticket.csv", "did you mean `./tickets.csv`?"),
        ("rows.csv", "recipe init lists them"),
        ("nowhere/ticket.csv", "recipe init lists them"),
        ("quickstrat", "did you mean `quickstart`?"),
    ],
)
def test_a_file_that_init_does_not_find_is_looked_for_beside_it(
    start: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tickets.csv").write_text("a,b\n1,2\n", encoding="utf-8")

    assert main(["init", start]) == 2
    assert hint in capsys.readouterr().err


def test_help_shows_commands_on_lines_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main(["drift", "--help"])

    lines = capsys.readouterr().out.splitlines()

    assert "    recipe drift tickets new.json" in lines
    assert "lengths, abstentions." in lines


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("data.sources[0].path", "A file or folder"),
        ("data.sources[].path", "A file or folder"),
        ("acceptance.metrics.macro_f1", "keys: min, max"),
        ("acceptance.metrics.f1.billing.min", "Must be at least this."),
        ("export.after_quantization.agreement.min", "Must be at least this."),
        ("data.label.bins.negative.max", "Largest value."),
    ],
)
def test_a_key_is_explained_as_messages_name_it(
    key: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", key]) == 0
    assert shown in capsys.readouterr().out


def test_a_default_that_is_worked_out_is_explained_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["schema", "method.alpha"]) == 0
    assert "default: 2 * rank; 8 with rslora" in capsys.readouterr().out


def test_of_a_key_that_holds_no_others_none_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "method.rank.x"]) == 2
    assert "keys there" not in capsys.readouterr().err


def test_an_unknown_key_of_the_schema_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "method.rnk"]) == 2
    assert "did you mean `rank`?" in capsys.readouterr().err


def test_a_text_that_is_not_utf8_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of the command line that are no text arrive as half surrogates, which no file takes."""
    assert main(["try", "tiny", "caf\udce9"]) == 3
    assert "D322" in capsys.readouterr().err


def test_a_template_that_is_not_utf8_is_a_usage_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["predict", "tiny", "rows.jsonl", "--input", "caf\udce9: {text}"])

    assert (left.value.code, "is not UTF-8" in capsys.readouterr().err) == (2, True)


def test_a_call_within_another_program_leaves_its_garbage_collection_alone() -> None:
    before = (gc.isenabled(), gc.get_freeze_count())

    main(["schema", "method.rank"])

    assert (gc.isenabled(), gc.get_freeze_count()) == before


# Numbers of options are bounded, and refused in words of the command line.
@pytest.mark.parametrize(
    ("read", "text", "value"),
    [(whole(0), "0", 0), (whole(1, 64), "64", 64), (seconds, "0.5", 0.5), (probability, "1", 1.0)],
)
def test_a_number_within_its_bounds_is_read(
    read: Callable[[str], float], text: str, value: float
) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((whole(1, 64), text) for text in ("0", "65", "-1", "1.5", "", "x", "²", "9" * 5000)),
        *((seconds, text) for text in ("0", "-1", "nan", "inf", "", "x")),
        *((probability, text) for text in ("-0.1", "1.1", "nan", "", "x")),
    ],
)
def test_any_other_is_refused_with_what_is_wanted(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="not `"):
        read(text)


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "m.gguf", "--seconds", "nan"),
        ("serve", "m.gguf", "--most-waiting", "-1"),
        ("serve", "m.gguf", "--port", "70000"),
        ("run", "r.yaml", "--parallel", "0"),
    ],
)
def test_a_verb_refuses_it_as_its_command_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words])

    assert ended.value.code == 2
    assert words[2] in capsys.readouterr().err


# The report of a bug starts no program: one of that name may lie in the folder that one stands in.
CALL = "from engine.cli.main import report_bug; report_bug(ValueError('x'), ['validate'])"


def test_a_report_starts_nothing(tmp_path: Path) -> None:
    for name in ("uname", "sh"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f".{os.pathsep}{os.environ['PATH']}"}  # fmt: skip

    done = subprocess.run(
        [sys.executable, "-P", "-c", CALL], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )  # fmt: skip

    assert "I900" in done.stderr
    assert not (tmp_path / "ran").exists()


# What reaches the terminal of texts that somebody else wrote.
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
