from typing import Any

import pytest

from engine.evidence import Check, Interval, Status
from engine.render import number_format
from engine.render.blocks import Prose
from engine.render.html_elements import inline
from engine.render.label_tables import check_sentence
from engine.render.markdown import prose
from engine.render.stage_lines import stage_result, verdict_line
from engine.values import replace
from support import reports


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (291.2, "4 min 51 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert number_format.duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(3, "a few seconds"), (22, "20 s"), (56, "1 min"), (3600, "1 h"), (7900, "2 h 10 min")],
)
def test_estimates_are_rough(seconds: float, expected: str) -> None:
    assert number_format.about(seconds) == expected


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, "1 epoch"),
        (1.0, "1 epoch"),
        (0.5, "0.5 epochs"),
        (3, "3 epochs"),
        (4 / 17, "0.235 epochs"),
        (1200, "1200 epochs"),
        (2012 / 17, "118 epochs"),
        (0.9999, "1 epoch"),
    ],
)
def test_epochs(epochs: float, expected: str) -> None:
    assert number_format.epochs(epochs) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (105_454_144, "105 MB"), (1_300_000_000, "1.3 GB")],
)
def test_sizes(count: int, expected: str) -> None:
    assert number_format.size(count) == expected


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (0.8964, False, "0.896"),
        (0.177, True, "+0.177"),
        (-0.0203, True, "\N{MINUS SIGN}0.020"),
        (-0.0001, True, "0.000"),
        (None, False, "not computed"),
        (float("nan"), False, "not computed"),
    ],
)
def test_metrics(value: float | None, signed: bool, expected: str) -> None:
    assert number_format.number(value, signed=signed) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.8, "0.80"), (0.985, "0.985"), (1, "1.00")])
def test_bounds_keep_the_digits_they_were_written_with(value: float, expected: str) -> None:
    assert number_format.threshold(value) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(1.0, "100 %"), (0.9999, "99.9 %"), (0.987, "98.7 %"), (0.0, "0 %")],
)
def test_a_share_below_one_is_never_rounded_up_to_all(share: float, expected: str) -> None:
    assert number_format.percent(share) == expected


def test_no_interval_is_empty() -> None:
    assert number_format.interval(None) == ""
    shown = number_format.interval(
        Interval(low=0.8581, high=0.93, confidence=0.95, method="made up")
    )
    assert shown == "[0.858, 0.930]"


# Numbers of a check beside its bound: what is shown is on the side of it that was decided.
def check(got: float, bound: float = 0.8, **changes: Any) -> Check:
    given: dict[str, Any] = {
        "name": "accuracy",
        "status": Status.FAIL,
        "got": got,
        "direction": "min",
        "bound": bound,
        "decided_on": "point",
        "n": 5000,
        "note": "",
        "interval": None,
    }
    return Check(**(given | changes))


def interval(low: float, high: float) -> Interval:
    return Interval(low=low, high=high, confidence=0.95, method="wilson")


@pytest.mark.parametrize(
    ("shown", "required"),
    [
        (check(0.7996), "0.7996, required ≥ 0.80"),
        (check(0.79996), "0.79996, required ≥ 0.80"),
        (check(0.7994), "0.799, required ≥ 0.80"),
        (check(0.8004), "0.800, required ≥ 0.80"),
        (check(0.8 - 1e-14), "0.800, required ≥ 0.80"),
        (check(0.0204, 0.02, direction="max", name="overfitting"), "+0.0204, required ≤ 0.02"),
        (
            check(120.04, 120, direction="max", name="file_megabytes"),
            "120.04 MB, required ≤ 120 MB",
        ),
    ],
)
def test_a_value_that_misses_its_bound_is_not_rounded_to_it(shown: Check, required: str) -> None:
    assert check_sentence(shown).endswith(required)


def test_the_end_of_an_interval_that_decides_is_not_rounded_to_the_bound() -> None:
    shown = check(0.812, interval=interval(0.79964, 0.82399), decided_on="lower bound")
    most = check(
        0.041,
        0.05,
        direction="max",
        name="ece",
        interval=interval(0.03049, 0.0503),
        decided_on="upper bound",
    )

    assert check_sentence(shown) == "accuracy 0.812 [0.7996, 0.8240], required lower bound ≥ 0.80"
    assert check_sentence(most) == "ece 0.041 [0.0305, 0.0503], required upper bound ≤ 0.05"


# Sentences in which labels stand between backticks, whatever the labels hold.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`a` is taken for `b` twice", "`a` is taken for `b` twice"),
        ("`a`b` is taken for `c`d` twice", "``a`b`` is taken for ``c`d`` twice"),
        ("`a`b` is taken for `c`", "``a`b`` is taken for `c`"),
        ("(`a`, `b`): ``c`` and `d", "(`a`, `b`): `` `c` `` and \\`d"),
        ("5` of rows", "5\\` of rows"),
    ],
)
def test_a_label_with_a_backtick_stays_whole_in_markdown(text: str, shown: str) -> None:
    assert prose(text) == shown


def test_a_label_with_a_backtick_stays_whole_on_the_page() -> None:
    shown = inline(Prose("`a`b` is taken for `c` twice"))

    assert shown == "<code>a`b</code> is taken for <code>c</code> twice"


# Lines of a stage: three at most, and nothing that a user copies is broken.
def test_no_path_and_no_command_is_broken_in_the_lines_of_a_stage() -> None:
    path, command = (
        f".recipe/store/{'3d' * 32}/findings.jsonl",
        "`recipe init --kind text rows.csv`",
    )
    text = f"every row that was found is in {path}, or use {command} for others"

    shown = stage_result("data", text, took="0.4 s", colour=False, width=60)

    assert path in shown
    assert command in shown
    assert min(map(len, shown.splitlines())) > 10


def test_a_stage_in_so_many_lines_keeps_whole_sentences() -> None:
    text = "\n".join(["first", "second " * 20, "third", "fourth"])

    shown = stage_result("data", text, took="0.4 s", colour=False, width=80, most=3)

    assert "".join(shown.split()) == f"data{'first'}0.4s{'second' * 20}"


def test_a_warning_is_no_check_that_holds() -> None:
    report = reports.accepted()
    assert report.gate is not None
    first, *others = report.gate.checks
    gate = replace(report.gate, checks=(replace(first, status=Status.WARN), *others))

    assert verdict_line(gate) == f"pass: {len(others)} checks hold, 1 warning"
