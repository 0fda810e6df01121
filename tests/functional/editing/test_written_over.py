"""What a person made is not written over by a verb that was asked to write there; its own earlier file is."""

import subprocess
from pathlib import Path

import pytest
import yaml

from engine.backends import BACKENDS
from engine.cli.main import main
from engine.files.writing import COMPILED
from engine.render.review.comment import MARKER
from support.outside_cases import source, write

MINE = "learning_rate: 0.5  # mine\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A valid recipe with known row counts, in a repository of its own."""
    rows = "\n".join(f"a text {n},{'ab'[n % 2]}" for n in range(80))
    (tmp_path / "rows.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    path = write(
        tmp_path, **source("rows.csv"), splits={"train": 40, "validation": 10, "holdout": 20}
    )
    for words in (["init", "-qb", "main"], ["add", "-A"], ["commit", "-qm", "first"]):
        names = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
        subprocess.run(["git", *names, *words], cwd=tmp_path, check=True)
    return path


VERBS = {
    "out/config.yaml": ("compile", "recipe.yaml", "-o", "out"),
    "comment.md": ("ci", "--from", "HEAD", "-o", "comment.md"),
}


@pytest.mark.parametrize("place", VERBS)
def test_a_file_of_the_user_stays(
    recipe: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = recipe.parent / place
    file.parent.mkdir(exist_ok=True)
    file.write_text(MINE, encoding="utf-8")

    code = main([*VERBS[place]])

    assert (code, "R005" in capsys.readouterr().err) == (2, True)
    assert file.read_text(encoding="utf-8") == MINE


@pytest.mark.parametrize("place", VERBS)
@pytest.mark.parametrize("before", ["its own", "an empty file"])
def test_what_the_verb_wrote_itself_is_written_anew(recipe: Path, place: str, before: str) -> None:
    file = recipe.parent / place
    file.parent.mkdir(exist_ok=True)
    if before == "its own":
        assert main([*VERBS[place]]) == 0
    else:
        file.touch()

    assert main([*VERBS[place]]) == 0

    text = file.read_text(encoding="utf-8")
    assert (COMPILED in text) or text.startswith(MARKER)


def test_a_job_file_is_written_over_its_own_alone(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = {"compute": "v1", "profiles": {"box": {"engine": "slurm", "time": "1h"}}}
    place = recipe.parent / "compute.yaml"
    place.write_text(yaml.safe_dump(profile), encoding="utf-8")
    words = ["compile", "recipe.yaml", "--on", "box", "--compute", str(place), "-o", "out"]
    assert main(words) == 0, capsys.readouterr().err
    assert main(words) == 0
    (recipe.parent / "out" / "job.sh").write_text("echo mine\n", encoding="utf-8")

    assert main(words) == 2

    assert "R005" in capsys.readouterr().err


def test_every_backend_marks_its_config() -> None:
    """By the mark a verb knows its own file: without it the second `compile -o` would be refused."""
    folder = Path(__file__).parents[2] / "golden"
    heads = {
        path.parent.name: path.read_text(encoding="utf-8").splitlines()[0]
        for path in folder.glob("*/*.yaml")
        if path.parent.name in BACKENDS
    }

    assert len(heads) >= 3
    assert [name for name, head in heads.items() if COMPILED not in head] == []
