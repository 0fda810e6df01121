"""The learning curve of the SVM where it can be none."""

from pathlib import Path

from engine.training.curves import svm_curve
from engine.values import replace
from support.stage_bench import examples, make_bench


def test_rows_of_one_group_have_no_curve_and_the_reason_names_it(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    context = bench._context(bench.artifacts, "0" * 64, tmp_path)
    train = [replace(row, group="one speaker") for row in examples(60)]
    found = svm_curve(context, train=train, validation=[])

    assert "all of one group" in found.message
    assert bench.built == []
