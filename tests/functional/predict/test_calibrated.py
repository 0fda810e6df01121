"""A recipe that asks for abstention: judged twice, shipped with its threshold, and used by predict and the bundle."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import predict
from engine.bundle.build import make_bundle
from engine.bundle.gates import row_problems
from engine.bundle.verification import check_bundle
from engine.errors import DataError, RecipeError, StoreError
from engine.evidence import Report
from engine.runs.predict_rows import ModelFile
from engine.runs.row_drift import counts_text, holdout_counts, require_comparable
from engine.runs.stored_run import exported_gguf
from engine.store import Store
from engine.values import from_json, replace, to_json
from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import run_folders

pytestmark = pytest.mark.thorough

SELECTIVE = {"accuracy": {"min": 0.3}, "coverage": {"min": 0.3}}


def ask(project: Project) -> None:
    project.edit(
        splits__train=40,
        splits__validation=60,
        acceptance__selective=SELECTIVE,
        export__formats=["gguf"],
    )


@pytest.fixture(scope="module")
def selective() -> RunOnce:
    done = run_once("selective", ask)
    assert done.outcome.code == 0, done.outcome.err
    return done


@pytest.fixture
def project(selective: RunOnce, tmp_path: Path, run: Callable[..., Outcome]) -> Project:
    def in_its_store(*words: str) -> Outcome:
        return run(*words, "--store", str(tmp_path / ".recipe"))

    return selective.copy_to(tmp_path, in_its_store)


def run_folder(project: Project | RunOnce) -> Path:
    (found,) = run_folders(project.folder / ".recipe")
    return found


def test_model_and_file_are_calibrated_on_validation_rows_and_judged_on_the_holdout(
    selective: RunOnce,
) -> None:
    report: dict[str, Any] = json.loads(
        (run_folder(selective) / "report.json").read_text(encoding="utf-8")
    )

    assert [form["form"] for form in report["calibrated"]] == ["adapter", "Q4_K_M"]
    for form in report["calibrated"]:
        assert form["fitted_rows"] == 60
        assert form["temperature"] > 0
        assert {metric["name"] for metric in form["before"]} == {
            "ece",
            "ece_less_chance",
            "brier",
            "nll",
        }
        assert {metric["n"] for metric in form["after"]} == {40}
        assert form["abstention"]["coverage"]["n"] == 40
    for gate in ("gate", "verify"):
        names = {check["name"] for check in report[gate]["checks"]}
        assert {"selective.accuracy", "selective.coverage"} <= names
    assert "calibration.json" in {file["name"] for file in report["files"]}


def test_the_file_leaves_with_its_own_temperature_and_threshold(selective: RunOnce) -> None:
    folder = run_folder(selective)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    shipped = report["calibrated"][-1]

    kept = ModelFile.of(exported_gguf(folder)).task.calibration

    assert kept is not None
    assert kept.form == "Q4_K_M"
    assert kept.temperature == shipped["temperature"]
    assert kept.abstain_below == shipped["abstention"]["threshold"]


def test_predict_gives_calibrated_probabilities_and_abstains_by_the_threshold_of_the_model(
    project: Project,
) -> None:
    place = run_folder(project) / "calibration.json"
    kept = json.loads(place.read_text(encoding="utf-8"))
    rows = project.folder / "new.csv"
    rows.write_text("text\na lovely film\na dull plot and a sad song\n", encoding="utf-8")

    plain = project.run("predict", "tiny", str(rows))
    every = project.run("predict", "tiny", str(rows), "--abstain-below", "0")

    answers = [json.loads(line) for line in plain.out.splitlines()]
    for answer in answers:
        assert answer["abstained"] == (answer["probability"] < kept["abstain_below"])
    assert "probabilities are calibrated: temperature" in plain.err
    assert "is the model's own threshold" in plain.err
    assert "is the model's own threshold" not in every.err
    assert all(json.loads(line)["prediction"] for line in every.out.splitlines())


def test_one_text_gets_no_answer_either_where_the_model_is_less_sure(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = json.loads((run_folder(project) / "calibration.json").read_text(encoding="utf-8"))
    monkeypatch.chdir(project.folder)
    words = ("try", "tiny", "a lovely film", "--format", "json")

    own, never, always = (
        json.loads(project.run(*words, *more).out)
        for more in ((), ("--abstain-below", "0"), ("--abstain-below", "1"))
    )
    shown = project.run("try", "tiny", "a lovely film", "--abstain-below", "1")
    answer = predict("tiny", "a lovely film", abstain_below=1)

    assert own["abstain_below"] == kept["abstain_below"]
    assert own["abstained"] == (own["probability"] < kept["abstain_below"])
    assert (own["label"] is None) == own["abstained"]
    assert (never["abstained"], never["label"] is None) == (False, False)
    assert (always["abstained"], always["label"]) == (True, None)
    assert shown.out == "no answer: less sure than 1; --abstain-below 0 shows it\n"
    assert (answer.abstained, answer.label) == (True, None)
    with pytest.raises(ValueError, match="not between 0 and 1"):
        predict("tiny", "a lovely film", abstain_below=60)


@pytest.mark.parametrize("change", ["another threshold", "gone"])
def test_another_calibration_than_the_accepted_one_is_refused(
    project: Project, change: str
) -> None:
    folder = run_folder(project)
    place = folder / "calibration.json"
    kept = json.loads(place.read_text(encoding="utf-8"))
    place.unlink()
    if change != "gone":
        place.write_text(json.dumps({**kept, "abstain_below": 0.0}), encoding="utf-8")

    with pytest.raises(StoreError, match=r"calibration\.json"):
        exported_gguf(folder)


def test_a_bundle_holds_the_calibration_and_its_checks(selective: RunOnce, tmp_path: Path) -> None:
    made = make_bundle(run_folder(selective), tmp_path / "tiny.bundle.tar", with_model=True)

    checked = check_bundle(made.file)

    assert "model/calibration.json" in made.members
    assert [claim.problem for claim in checked.claims if not claim.holds] == []


def test_a_bundle_whose_file_abstains_otherwise_than_its_checks_say_is_not_verified(
    selective: RunOnce, tmp_path: Path
) -> None:
    contents = check_bundle(make_bundle(run_folder(selective), tmp_path / "a.tar").file).contents
    assert contents is not None
    forms = to_json(contents.report.calibrated)
    for form in forms:
        form["abstention"]["accuracy"]["value"] = 0.999
    report = from_json(Report, {**to_json(contents.report), "calibrated": forms})

    problems = [*row_problems(replace(contents, report=report))]

    for gate in ("gate", "verify"):
        assert any(f"report.{gate}.checks.selective.accuracy" in one for one in problems)


def test_counts_of_new_rows_are_compared_with_the_holdouts(project: Project) -> None:
    rows, kept = project.folder / "new.csv", project.folder / "new.json"
    texts = [f"the {thing} was good number {n}" for n in range(20) for thing in ("film", "plot")]
    rows.write_text("\n".join(["text", *texts]) + "\n", encoding="utf-8")

    outcome = project.run("predict", "tiny", str(rows), "--keep-counts", str(kept))
    drift = project.run("drift", "tiny", str(kept), "--format", "json")

    found = json.loads(drift.out)
    assert (outcome.code, drift.code) == (0, int(found["drift"])), outcome.err + drift.err
    assert found["drift"] == any(one["differs"] for one in found["differences"])
    assert not any(text in kept.read_text("utf-8") for text in texts)
    assert found["rows"] == {"holdout": 40, "new": 40}
    assert {one["what"] for one in found["differences"]} == {
        "labels",
        "confidence",
        "characters",
        "similarity",
        "abstained",
    }
    assert sum(json.loads(kept.read_text("utf-8"))["counts"]["similarity"]) == 40


def test_a_holdout_whose_rows_are_gone_is_not_counted(project: Project) -> None:
    """It was counted as rows without a text: all of them the shortest that there are."""
    for rows in project.folder.glob(".recipe/store/*/*/files/holdout.jsonl"):
        shutil.rmtree(rows.parents[1])

    with pytest.raises(RecipeError, match="the store no longer has its rows") as caught:
        holdout_counts(run_folder(project), Store(project.folder / ".recipe"))

    assert caught.value.problems[0].code == "D432"


def test_drift_is_the_first_line_and_the_exit_code(project: Project) -> None:
    reference = holdout_counts(run_folder(project), Store(project.folder / ".recipe"))
    same, other = project.folder / "same.json", project.folder / "other.json"
    (one, _), (two, _) = reference.labels
    for path, first in ((same, 20), (other, 40)):
        counts = replace(reference, labels=((one, first), (two, 40 - first)))
        path.write_text(counts_text(counts), encoding="utf-8")

    alike = project.run("drift", str(same), str(same))
    unlike = project.run("drift", str(same), str(other))

    assert (alike.code, unlike.code) == (0, 1)
    assert alike.out.startswith("NO DRIFT SHOWN: 40 rows against 40 of the holdout\n")
    assert unlike.out.startswith("DRIFT in labels: 40 rows against 40 of the holdout\n")


def test_few_rows_are_not_compared(project: Project) -> None:
    reference = holdout_counts(run_folder(project), Store(project.folder / ".recipe"))

    with pytest.raises(DataError) as caught:
        require_comparable(reference, replace(reference, rows=29))

    assert caught.value.problems[0].code == "D431"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"model": "0" * 64}, "D430"), ({"rows": 29}, "D429"), ({"rows": "x"}, "D429")],
)
def test_counts_that_say_nothing_of_the_rows_are_refused(
    project: Project, change: dict[str, Any], code: str
) -> None:
    reference = holdout_counts(run_folder(project), Store(project.folder / ".recipe"))
    data = json.loads(counts_text(reference))
    kept = project.folder / "kept.json"
    kept.write_text(json.dumps({**data, "counts": {**data["counts"], **change}}), encoding="utf-8")

    outcome = project.run("drift", "tiny", str(kept))

    assert outcome.code == 3
    assert code in outcome.err
