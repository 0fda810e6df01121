"""Drafts of few rows: a good model passes on the rows that judge it, and each count is that of `recipe data`."""

import csv
import math
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import main
from engine.pipeline.data_outlook import divided
from engine.recipe import load_recipe
from support.project import THINGS

Z = 1.959963984540054
"""Of an interval of 95 %."""


def drafted(
    rows: list[tuple[str, str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[Any, str]:
    """Draft from rows; return the recipe, and the output in one line."""
    file, target = folder / "rows.csv", folder / "rows.yaml"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "mood"), *rows])
    assert main(["init", str(file), "-o", str(target)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    return yaml.safe_load(target.read_text(encoding="utf-8")), output


def different(count: int) -> list[tuple[str, str]]:
    """Rows of two labels, as many of each, of which none resembles another."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnoprstuvw", k=6)) for _ in range(4000)]
    return [(" ".join(draw.sample(words, 9)), ("good", "bad")[n % 2]) for n in range(count)]


def chance_to_pass(true: float, bound: float, rows: int) -> float:
    """Return how often a model that is right on that share of rows has a lower bound of Wilson's that keeps a bound."""

    def is_kept(right: int) -> bool:
        share, spread = right / rows, Z * Z / rows
        half = Z * math.sqrt(share * (1 - share) / rows + spread / (4 * rows))
        return (share + spread / 2 - half) / (1 + spread) >= bound

    return sum(
        math.comb(rows, right) * true**right * (1 - true) ** (rows - right)
        for right in range(rows + 1)
        if is_kept(right)
    )


@pytest.mark.parametrize("count", [60, 100, 300, 490, 600])
def test_a_good_model_passes_a_draft_of_so_many_rows(
    count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 300 rows 70 judged: one that was right on 90 of 100 passed a bound of 0.80 with 0.60."""
    recipe, output = drafted(different(count), tmp_path, capsys)

    splits, bounds = recipe["splits"], recipe["acceptance"]["metrics"]
    bound, judging = bounds["macro_f1"]["min"], count if "folds" in splits else splits["holdout"]
    assert chance_to_pass((1 + bound) / 2, bound, judging) >= 0.8
    assert chance_to_pass(0.99, bounds["valid_output"]["min"], judging) >= 0.8
    assert bound == 0.8 or chance_to_pass((1 + 0.05 + bound) / 2, bound + 0.05, judging) < 0.8
    assert ("5 trainings" in output) is (count < 500)


def test_a_label_of_fewer_rows_than_folds_goes_without_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(text, "rare" if n < 3 else label) for n, (text, label) in enumerate(different(120))]

    recipe, _ = drafted(rows, tmp_path, capsys)

    assert "folds" not in recipe["splits"]
    assert recipe["splits"]["holdout"] > 0


def test_the_draft_counts_training_rows_as_data_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows that are nearly in the holdout were counted as rows to train on."""
    draw = random.Random(2)
    rows = []
    for text, label in different(300):
        rows += [(text, label), (f"{text} {draw.choice(THINGS)}", label)]

    _, output = drafted(rows, tmp_path, capsys)
    recipe, _ = load_recipe(tmp_path / "rows.yaml")
    prepared = divided(recipe, None, most_bytes=10**6)
    assert prepared is not None
    trained = len(prepared.train)

    assert trained < 600 - 150 - 60
    assert f" {trained} left to train on" in output
