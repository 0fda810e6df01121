import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import StageError
from engine.runtime.text.tfidf import fit_svm
from support.project import rows


def tfidf_svm(texts: list[str], labels: list[str], asked: list[str], *, seed: int) -> list[str]:
    return [str(one) for one in fit_svm(texts, np.array(labels), seed=seed).answers(asked)]


def test_it_learns_what_words_tell_and_twice_the_same() -> None:
    train, holdout = rows(80, seed=1), rows(40, seed=2)
    texts, labels = [text for text, _ in train], [label for _, label in train]

    found = tfidf_svm(texts, labels, [text for text, _ in holdout], seed=7)

    assert found == [label for _, label in holdout]
    assert found == tfidf_svm(texts, labels, [text for text, _ in holdout], seed=7)


def test_single_letters_and_marks_are_features_too() -> None:
    texts, labels = ["!", "?", "a", "b"] * 3, ["up", "down", "up", "down"] * 3

    assert tfidf_svm(texts, labels, ["!", "?", "a", "b"], seed=7) == ["up", "down", "up", "down"]


@pytest.mark.parametrize(
    ("texts", "labels"), [(["good", "bad"], ["a", "a"]), ([" ", "\n"], ["a", "b"])]
)
def test_rows_that_teach_nothing_are_reported(texts: list[str], labels: list[str]) -> None:
    with pytest.raises(StageError, match="G510  baselines: tfidf_svm cannot learn"):
        tfidf_svm(texts, labels, ["x"], seed=7)


MANY = [
    ("the food was cold", {"food"}),
    ("the food was great and so was the waiter", {"food", "staff"}),
    ("a rude waiter", {"staff"}),
    ("we sat there", set()),
    ("cold food again", {"food"}),
    ("the waiter smiled", {"staff"}),
    ("we left early", set()),
    ("great food, great waiter", {"food", "staff"}),
]


def of_each(texts: list[str], *, labels: tuple[str, ...] = ("food", "staff")) -> list[set[str]]:
    given = np.array([[label in found for label in labels] for _, found in MANY], dtype=int)
    fitted = fit_svm([text for text, _ in MANY], given, seed=7)
    return [
        {label for label, has in zip(labels, row, strict=True) if has}
        for row in fitted.answers(texts)
    ]


def test_each_label_is_learned_against_the_rest() -> None:
    assert [{"food"}, {"staff"}, {"food", "staff"}, set()] == of_each(
        ["cold food", "the rude waiter", "the waiter brought great food", "we sat"]
    )


def test_a_label_of_no_row_is_never_predicted() -> None:
    assert [{"food"}] == of_each(["cold food"], labels=("price", "food"))


def test_a_label_of_every_row_is_always_predicted() -> None:
    fitted = fit_svm(["one", "two"], np.array([[1, 1], [1, 0]]), seed=7)

    assert fitted.answers(["three"])[0][0] == 1


def test_blank_rows_of_several_labels_are_reported() -> None:
    with pytest.raises(StageError, match="G510"):
        fit_svm([" "], np.array([[1]]), seed=7)


# Compiled loops keep their cache, which is unpickled, in the user's own folder, whatever a project says.
RUN = (
    "import numpy as np\n"
    "from engine.runtime.text.near_texts import _numba, unique\n"
    "print(unique(np.arange(9, dtype=np.uint64), 9), _numba.config.CACHE_DIR, _numba.config.DISABLE_JIT)\n"
)


def test_a_projects_settings_of_numba_are_not_read(tmp_path: Path, root: Path) -> None:
    project, cache = tmp_path / "project", tmp_path / "cache"
    project.mkdir()
    settings = "cache_dir: stranger\ndisable_jit: 1\ncache_locator_classes: evil.Locator\n"
    (project / ".numba_config.yaml").write_text(settings, encoding="utf-8")
    (project / "evil.py").write_text("open('ran', 'w')", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN],
        cwd=project,
        env={
            **{name: value for name, value in os.environ.items() if "NUMBA" not in name},
            "PYTHONPATH": str(root),
            "XDG_CACHE_HOME": str(cache),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["9", str(cache / "slm-recipe" / "numba"), "0"]
    assert {path.name for path in project.iterdir()} == {".numba_config.yaml", "evil.py"}
    assert list((cache / "slm-recipe" / "numba").rglob("*.nbi"))
