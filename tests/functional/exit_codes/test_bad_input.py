"""Bad recipes and bad data files end in one clear message, the right exit code, and an intact store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import Project, rows
from support.runs import is_whole, left_behind, manifests, report, run_folders, statuses


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def one_label(path: Path) -> None:
    lines = [f"{text},positive\n" for text, _ in rows(139)]
    path.write_text("text,label\n" + "".join(lines) + "the end,negative\n", encoding="utf-8")


BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "header only": lambda path: path.write_bytes(b"text,label\n"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "wrong encoding": lambda path: path.write_bytes("text,label\ncafé,positive\n".encode("utf-16")),
    "latin-1": lambda path: path.write_bytes("text,label\ncafé,positive\n".encode("latin-1")),
    "ragged": lambda path: path.write_bytes(b"text,label\nno label here\nfine,positive\n"),
    "directory": directory,
    "label missing from a split": one_label,
    "unknown label": lambda path: path.write_bytes(b"text,label\nfine,excellent\n"),
}
EXPECTED = {
    "missing": (2, "R302"),
    "empty": (3, "D321"),
    "header only": (3, "D321"),
    "binary": (3, "D323"),
    "wrong encoding": (3, "D322"),
    "latin-1": (3, "D322"),
    "ragged": (3, "D324"),
    "directory": (2, "R302"),
    "label missing from a split": (3, "D312"),
    "unknown label": (3, "D305"),
}
"""Exit code, and the code of the one message."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_data_file_ends_in_one_message(project: Project, name: str) -> None:
    root = project.folder / ".recipe"
    BROKEN[name](project.folder / "rows.csv")

    outcome = project.run("run", "recipe.yaml", "--until", "data")

    code, problem_code = EXPECTED[name]
    assert outcome.code == code, outcome.err
    assert outcome.err.count(f"recipe explain {problem_code}") == 1
    assert "Traceback" not in outcome.err
    assert "I90" not in outcome.err
    assert {manifest["stage"] for manifest in manifests(root)} <= {"findings"}  # the refused rows
    assert left_behind(root) == []
    if run_folders(root):
        assert report(root)["outcome"] == "failed"
        assert statuses(root)["data"] == "failed"


def test_a_failed_stage_names_the_way_on(project: Project) -> None:
    (project.folder / "rows.csv").write_bytes(b"text,label\nfine,excellent\n")

    outcome = project.run("run", "recipe.yaml")

    assert outcome.code == 3, outcome.err
    assert "FAILED" in outcome.out
    assert report(project.folder / ".recipe")["next_steps"]


def test_a_repaired_file_is_read_by_the_next_run(project: Project) -> None:
    path = project.folder / "rows.csv"
    good = path.read_bytes()
    path.write_bytes(b"text,label\nno label here\n")
    assert project.run("run", "recipe.yaml", "--until", "data").code == 3

    path.write_bytes(good)
    assert project.run("run", "recipe.yaml", "--until", "data").code == 0
    assert is_whole(project.folder / ".recipe")


def test_a_wrong_recipe_is_refused_before_anything_is_written(project: Project) -> None:
    project.edit(method__rnak=8)

    outcome = project.run("run", "recipe.yaml")

    assert outcome.code == 2, outcome.err
    assert "rnak" in outcome.err
    assert not (project.folder / ".recipe").exists()


def test_a_recipe_that_is_not_there_is_a_mistake_of_the_command(project: Project) -> None:
    assert project.run("run", "no.yaml").code == 2
