"""A recipe on standard input: `validate`, `plan` and `data` read it, and write nothing beside it."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.recipe.text import source
from support.project import Outcome, rows

Run = Callable[..., Outcome]


@pytest.fixture
def piped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    lines = "".join(f"{text},{label}\n" for text, label in rows(120))
    (tmp_path / "rows.csv").write_text(f"text,label\n{lines}", encoding="utf-8")
    run("init", "rows.csv", "-o", "rows.yaml")
    text = (tmp_path / "rows.yaml").read_bytes()
    (tmp_path / "rows.yaml").unlink()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    source.standard_input.cache_clear()
    yield tmp_path
    source.standard_input.cache_clear()


@pytest.mark.parametrize(
    "words", [("validate",), ("plan",), ("data", "--no-tokens")], ids=lambda words: words[0]
)
def test_a_recipe_is_read_from_standard_input(
    piped: Path, run: Run, words: tuple[str, ...]
) -> None:
    outcome = run(words[0], "-", *words[1:])

    assert outcome.code == 0, outcome.err
    assert {path.name for path in piped.iterdir()} - {".recipe"} == {"rows.csv"}


@pytest.mark.usefixtures("piped")
def test_a_run_needs_a_file(capfd: pytest.CaptureFixture[str], run: Run) -> None:
    with pytest.raises(SystemExit):
        run("run", "-")

    assert "a file is needed here" in capfd.readouterr().err
