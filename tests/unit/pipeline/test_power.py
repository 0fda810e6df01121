import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import yaml

from engine.data.examples.template import NO_HEADER
from engine.data.membership import membership_from_json
from engine.data.prepare import prepare
from engine.data.reading.sources import fetch_all, read_all
from engine.evidence import DataSummary, Metric, Scores, SplitSummary
from engine.metrics.power_text import Discordance
from engine.metrics.predictions import Prediction, write_predictions
from engine.pipeline import data_outlook
from engine.pipeline.data_outlook import (
    HEAVY,
    UNCOUNTED,
    WATCHING,
    divided,
    measured_discordance,
    outlook,
    power_estimates,
    shapes,
)
from engine.recipe import load_recipe
from engine.recipe.model import Checks, MinGain, Recipe, Threshold
from engine.render.progress_display import SilentProgress
from engine.store import make_key
from engine.values import fields, replace, to_json
from support.data_artifacts import members
from support.project import BASE, rows
from support.stage_bench import Bench, make_bench


def split(name: str, rows: int, **labels: int) -> SplitSummary:
    return SplitSummary(name=name, rows=rows, seen=rows, labels=labels, digest="")


def counted(*splits: SplitSummary) -> DataSummary:
    return DataSummary(
        rows_read=0,
        rows_used=0,
        dropped={},
        splits=splits,
        findings=(),
        overlap_exact=0,
        overlap_near=0,
    )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = make_bench(tmp_path)
    bench.accept(
        metrics=(Threshold(metric="f1.negative", direction="min", bound=0.8),), over_baselines=()
    )
    return bench


def test_the_classes_of_the_counted_holdout_are_used(bench: Bench) -> None:
    data = counted(split("train", 400), split("holdout", 200, negative=20, positive=180))

    [line] = power_estimates(bench.recipe, data).lines

    assert line.startswith("`negative` has 20 of 200 holdout rows; about 300 holdout rows would")


def test_with_folds_all_rows_judge(bench: Bench) -> None:
    recipe = replace(bench.recipe, splits=replace(bench.recipe.splits, folds=5))
    data = replace(
        counted(
            split("train", 240, negative=120, positive=120),
            split("holdout", 60, negative=30, positive=30),
        ),
        folds=5,
    )

    assert power_estimates(recipe, None).lines == (UNCOUNTED,)
    line = power_estimates(recipe, data).lines[0]
    assert line.startswith("f1.negative `min ")
    assert "on 300 holdout rows: power 0.80 at a true f1.negative of " in line


def test_an_empty_holdout_shows_nothing(bench: Bench) -> None:
    assert power_estimates(bench.recipe, counted(split("holdout", 0))).lines == (UNCOUNTED,)


def test_nothing_is_reported_where_nothing_is_gated(bench: Bench) -> None:
    bench.accept(metrics=())

    assert power_estimates(bench.recipe, None).lines == ()


def answers(right: str) -> list[Prediction]:
    return [
        Prediction(
            id=f"{n:016x}",
            target="negative",
            label="negative" if hit == "1" else None,
            text="",
            probability=None,
        )
        for n, hit in enumerate(right)
    ]


def put_answers(bench: Bench, stage: str, **models: str) -> None:
    """Store the answers of models, as rows that are right (1) or not, and their accuracy."""

    def build(folder: Path) -> None:
        for name, right in models.items():
            write_predictions(folder / f"predictions.{name}.jsonl", answers(right))
        scored = [
            {"name": name, "scores": to_json(accuracy(right)), "note": "", "seconds": 0.0}
            for name, right in models.items()
        ]
        (folder / "baselines.json").write_text(json.dumps(scored), encoding="utf-8")

    key = make_key({"test": stage, "models": sorted(models)})
    bench.artifacts[stage] = bench.store.put(stage, key, build)


def accuracy(right: str) -> Scores:
    value = right.count("1") / len(right)
    metric = Metric(name="accuracy", value=value, n=len(right))
    return Scores(rows=len(right), metrics=(metric,), classes=(), confusion=())


#                     0123456789
ASKED = {
    "majority": "1110000000",
    "few_shot": "0000001111",
    "tfidf_svm": "1111110000",
}
"""Right answers: the majority 3 of 10, the base model with examples 4, the SVM, the best of them, 6."""


def test_the_discordance_is_that_of_the_tuned_model_and_the_best_baseline(bench: Bench) -> None:
    """The largest one over all baselines was called that of the best."""
    bench.accept(over_baselines=(MinGain(metric="accuracy", min_gain=0.05),))
    put_answers(bench, "baseline", **ASKED)
    put_answers(bench, "evaluate", holdout="1111111100")

    found = measured_discordance(bench.recipe, bench.artifacts)

    # against the SVM rows 6 and 7 differ; against few_shot 0 to 5, 8 and 9
    assert found == Discordance(share=0.2, source="measured, the tuned model against `tfidf_svm`")


def test_before_training_another_pair_is_named_and_not_called_measured(bench: Bench) -> None:
    bench.accept(over_baselines=(MinGain(metric="accuracy", min_gain=0.05),))
    put_answers(bench, "baseline", **ASKED)

    found = measured_discordance(bench.recipe, bench.artifacts)

    stand_in = "`few_shot` against `tfidf_svm`, a stand-in until the model is trained"
    assert found == Discordance(share=1.0, source=stand_in)
    line = power_estimates(bench.recipe, counted(split("holdout", 10)), discordance=found)
    assert f"on 100 of 100 rows ({stand_in})" in line.note


def test_without_two_models_that_have_answered_nothing_is_measured(bench: Bench) -> None:
    bench.accept(over_baselines=(MinGain(metric="accuracy", min_gain=0.05),))
    assert measured_discordance(bench.recipe, bench.artifacts) is None

    put_answers(bench, "baseline", tfidf_svm="10")

    assert measured_discordance(bench.recipe, bench.artifacts) is None


# What a plan can say of local data: the shape of each file, and what becomes of new rows.
NOTHING = membership_from_json(members({"train": [], "validation": [], "holdout": []}))


def recipe_of(folder: Path, **changes: Any) -> Recipe:
    """The recipe of a small project with 140 rows in two files."""
    for name, part in (("old.csv", rows(140)[:100]), ("new.csv", rows(140)[100:])):
        lines = [("text", "label"), *part]
        (folder / name).write_text("".join(f"{a},{b}\n" for a, b in lines), encoding="utf-8")
    data = {
        **BASE["data"],
        "sources": [{"path": "old.csv"}, {"path": "new.csv"}],
        **changes.pop("data", {}),
    }
    (folder / "base").mkdir(exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**BASE, "data": data, **changes}), encoding="utf-8")
    return load_recipe(path)[0]


def run_of(recipe: Recipe, **held: Any) -> Any:
    fetched = fetch_all(recipe.data.sources, data_outlook._far, SilentProgress())
    rows_read = read_all(fetched, SilentProgress())
    return prepare(rows_read, recipe.task, data=recipe.data, splits=recipe.splits, **held)


def test_it_predicts_what_the_data_stage_then_does(tmp_path: Path) -> None:
    before = run_of(recipe_of(tmp_path)).membership
    with (tmp_path / "new.csv").open("a", encoding="utf-8") as stream:
        stream.write("".join(f"{text},{label}\n" for text, label in rows(152)[140:]))
    recipe = load_recipe(tmp_path / "recipe.yaml")[0]

    summary = outlook(recipe, before)

    assert summary is not None
    found = summary.recorded
    assert found is not None
    assert found == run_of(recipe, recorded=before).summary.recorded
    assert found.kept == 40
    assert sum((found.new_rows or {}).values()) == 12


def test_what_only_a_run_can_tell_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path)
    assert outlook(recipe, NOTHING) is not None

    hub = recipe_of(tmp_path, data={"sources": [{"hub": "some/rows", "split": "train"}]})
    assert outlook(hub, NOTHING) is None
    for check in HEAVY:
        change: dict[str, Any] = {check: "drop"}
        checks = replace(recipe.data.checks, **change)
        heavy = replace(recipe, data=replace(recipe.data, checks=checks))
        assert outlook(heavy, NOTHING) is None
    monkeypatch.setattr(data_outlook, "MOST_BYTES", 100)
    assert outlook(recipe, NOTHING) is None


def test_dropped_mojibake_is_left_to_the_run_where_ftfy_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path, data={"checks": {"leakage": "warn", "mojibake": "drop"}})
    assert outlook(recipe, NOTHING) is not None

    monkeypatch.setitem(sys.modules, "ftfy", None)

    assert outlook(recipe, NOTHING) is None


def test_a_review_reads_parquet_and_languages_where_their_libraries_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, labels = map(list, zip(*rows(140), strict=True))
    table = pyarrow.table({"text": texts, "label": labels})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    checks = {**BASE["data"].get("checks", {}), "leakage": "warn", "languages": "drop"}
    data = {"sources": [{"path": "rows.parquet"}], "checks": checks}
    recipe = recipe_of(tmp_path, data=data)

    def is_divided(**words: bool) -> bool:
        return divided(recipe, None, most_bytes=1_000_000, **words) is not None

    assert (is_divided(), is_divided(with_extras=True)) == (False, True)
    for library in ("pyarrow", "py3langid"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            assert not is_divided(with_extras=True)


def test_rows_that_cannot_be_read_are_left_to_the_run(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    (tmp_path / "new.csv").write_bytes(b"text,label\n\xff\xfe,positive\n")

    assert outlook(recipe, NOTHING) is None


def test_every_check_is_known_to_move_rows_or_not() -> None:
    moving = {"duplicates", "conflicting_labels", "empty", "unknown_labels", "schema_violations"}
    known = {field.name for field in fields(Checks)}

    assert known - set(WATCHING) == moving | {"truncation"}
    assert set(HEAVY) <= set(WATCHING)


def test_each_local_file_is_reported_with_its_columns(tmp_path: Path) -> None:
    assert shapes(recipe_of(tmp_path)) == [
        ("old.csv", "columns text, label"),
        ("new.csv", "columns text, label"),
    ]


def test_a_column_that_a_file_lacks_is_named_before_anything_runs(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    (tmp_path / "old.csv").write_text("text,topic\nfine,positive\n", encoding="utf-8")
    (tmp_path / "new.csv").write_text("fine,positive\nbad,negative\n", encoding="utf-8")

    assert shapes(recipe) == [
        ("old.csv", "columns text, topic; none is `label` (data.label.column)"),
        (
            "new.csv",
            "columns fine, positive; none is `text` (task.input) or `label` (data.label.column): "
            + NO_HEADER,
        ),
    ]


def test_only_the_first_row_of_a_file_is_read(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    (tmp_path / "new.csv").write_bytes(b"text,label\n" + b"fine,positive\n" * 400_000 + b"\xff\xfe")

    assert ("new.csv", "columns text, label") in shapes(recipe)


def test_the_usual_shapes_are_named(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    (tmp_path / "chat.jsonl").write_text(json.dumps({"messages": turns}) + "\n", encoding="utf-8")
    recipe = recipe_of(tmp_path, data={"sources": [{"path": "chat.jsonl"}]})
    chat = replace(recipe, task=replace(recipe.task, kind="chat"))

    assert shapes(chat) == [("chat.jsonl", "openai_messages")]


def test_many_files_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_outlook, "MOST_SOURCES", 1)

    assert shapes(recipe_of(tmp_path))[1:] == [("…", "1 more file")]
