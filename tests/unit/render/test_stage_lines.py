"""Lines of a stage: three at most, and nothing that a user copies is broken."""

from engine.evidence import Status
from engine.render.stage_lines import stage_result, verdict_line
from engine.values import replace
from support import reports


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
