"""What `recipe init` was given is there, and what is left out of it is named."""

from pathlib import Path

import pytest

from engine.drafting.inputs import inputs_of
from engine.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("named", "hint"), [("trian.csv", "did you mean `{folder}/train.csv`?"), ("test.csv", None)]
)
def test_a_second_file_that_is_not_there_is_an_error(
    folder: Path, named: str, hint: str | None
) -> None:
    with pytest.raises(DataError) as caught:
        inputs_of([folder / "train.csv", folder / named])

    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == ("D320", f"`{folder / named}` does not exist")
    assert problem.hint == (hint and hint.format(folder=folder))


def test_a_named_file_that_holds_no_rows_is_named_as_left_out(folder: Path) -> None:
    (folder / "page.html").write_text("<p>", encoding="utf-8")

    found = inputs_of([folder / "train.csv", folder / "page.html"])

    assert [part.path.name for part in found.parts] == ["train.csv"]
    assert found.notes == ("left out, no file of rows: page.html",)
