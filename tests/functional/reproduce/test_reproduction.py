"""The lock of an accepted run, and runs that repeat it: exactly, with another seed, with other data."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.project import Project
from support.runs import report, run_folders, statuses

pytestmark = pytest.mark.thorough

LOCK = "recipe.lock.json"
MAKERS = ("train", "merge", "quantize")


def accepted(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / LOCK).read_text(encoding="utf-8"))
    part: dict[str, Any] = found["accepted"]
    return part


def repeated(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = report(project.folder / ".recipe")["reproduction"]
    return found


def change_row(project: Project, line: int, *, old: str, new: str) -> None:
    path = project.folder / "rows.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    path.write_text("".join(lines), encoding="utf-8", newline="")


def forget_store(project: Project) -> None:
    shutil.rmtree(project.folder / ".recipe")


def test_an_accepted_run_writes_what_it_had_used_and_left(finished: Project, root: Path) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    whole = json.loads((finished.folder / LOCK).read_text(encoding="utf-8"))
    jsonschema.validate(whole, schema, cls=jsonschema.Draft202012Validator)
    part, shown = accepted(finished), report(finished.folder / ".recipe")

    assert [one["name"] for one in part["sources"]] == ["rows.csv"]
    assert part["rows"] == 140
    assert set(part["base_model"]["files"]) >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert part["threads"] == len(os.sched_getaffinity(0))
    assert part["versions"]["torch"] == shown["versions"]["torch"]
    assert part["hardware"]["name"] == shown["environment"]["device"]
    assert part["verdicts"] == {"gate": "pass", "verify": "pass"}
    value = next(m for m in shown["holdout"]["metrics"] if m["name"] == "macro_f1")
    assert part["metrics"]["macro_f1"]["value"] == pytest.approx(value["value"], abs=1e-6)
    assert part["metrics"]["macro_f1"]["low"] == pytest.approx(value["interval"]["low"], abs=1e-6)
    assert set(part["adapter"]) == {
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    }
    assert {file["name"]: file["sha256"] for file in shown["files"]} == part["files"]
    assert set(part["predictions"]) == {"holdout", "free", "merged", "quantized"}
    assert max(map(len, (finished.folder / LOCK).read_text("utf-8").splitlines())) < 2000


def test_a_deleted_store_and_the_lock_give_the_very_model(finished: Project) -> None:
    before = (finished.folder / LOCK).read_bytes()
    files = accepted(finished)["files"]
    forget_store(finished)

    outcome = finished.run("run", "recipe.yaml", "--frozen")

    assert outcome.code == 0, outcome.err
    assert "reproduced exactly" in outcome.out
    found = repeated(finished)
    assert (found["verdict"], found["first_difference"]) == ("reproduced exactly", "")
    assert all(one["equal"] for one in found["compared"])
    assert {
        file["name"]: file["sha256"] for file in report(finished.folder / ".recipe")["files"]
    } == files
    assert (finished.folder / LOCK).read_bytes() == before
    (folder,) = run_folders(finished.folder / ".recipe")
    assert (
        json.loads((folder / "run.json").read_text("utf-8"))["reproduction"]["verdict"]
        == found["verdict"]
    )
    assert "reproduced exactly" in (folder / "report.html").read_text("utf-8").lower()
    assert "reproduced exactly" in (folder / "report.md").read_text("utf-8").lower()


def test_results_of_the_store_are_no_reproduction(finished: Project) -> None:
    before = (finished.folder / LOCK).read_bytes()

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0, outcome.err
    assert "reused, not reproduced" in outcome.out
    assert repeated(finished)["reused"] == list(MAKERS)
    assert (finished.folder / LOCK).read_bytes() == before


def test_another_seed_is_judged_by_its_numbers(finished: Project) -> None:
    before = accepted(finished)
    finished.edit(method__seed=8)

    outcome = finished.run("run", "recipe.yaml")

    found = repeated(finished)
    assert outcome.code == 0, outcome.err
    assert found["verdict"] in ("reproduced within noise", "not reproduced")
    assert found["first_difference"].startswith("config: ")
    (test,) = found["equivalence"]
    assert "half of the lock's interval" in test["margin_from"]
    within = (
        -test["margin"] <= test["interval"]["low"] and test["interval"]["high"] <= test["margin"]
    )
    agrees = found["agreement"]["interval"]["high"] >= found["agreement_required"]
    assert test["holds"] == within
    assert (found["verdict"] == "reproduced within noise") == (within and agrees)
    assert f"±{test['margin']:.3f}" in " ".join(outcome.out.split())
    assert accepted(finished) == before


@pytest.mark.parametrize("store", ["fresh", "old"])
def test_one_changed_row_is_refused_at_the_data_stage_and_named(
    finished: Project, store: str
) -> None:
    if store == "fresh":
        forget_store(finished)
    before = (finished.folder / LOCK).read_bytes()
    change_row(finished, 17, old=" and the ", new=" but the ")

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 3
    assert (
        "the data is not the data of the lock: 1 row differs, first at rows.csv:17" in outcome.err
    )
    assert "rows.csv:17  D387" in outcome.err
    assert statuses(finished.folder / ".recipe")["data"] == "failed"
    assert set(statuses(finished.folder / ".recipe").values()) == {"failed", "skipped"}
    found = repeated(finished)
    assert found["verdict"] == "not reproduced"
    assert found["first_difference"].startswith("data: ")
    assert (finished.folder / LOCK).read_bytes() == before


def test_a_changed_label_of_a_row_that_is_not_even_used_is_named(finished: Project) -> None:
    lines = (finished.folder / "rows.csv").read_text("utf-8").splitlines()
    label = lines[139].rpartition(",")[2]
    change_row(
        finished, 140, old=label, new={"positive": "negative", "negative": "positive"}[label]
    )

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 3
    assert "1 row differs, first at rows.csv:140" in outcome.err


def test_rows_in_another_order_and_other_line_ends_are_the_same_data(finished: Project) -> None:
    path = finished.folder / "rows.csv"
    head, *lines = path.read_text("utf-8").splitlines()
    path.write_text("\r\n".join([head, *reversed(lines)]) + "\r\n", encoding="utf-8", newline="")

    outcome = finished.run("run", "recipe.yaml", "--until", "data")

    assert outcome.code == 0, outcome.err
    assert repeated(finished)["verdict"] == "not compared to the end"


def test_added_and_missing_rows_are_counted(finished: Project) -> None:
    path = finished.folder / "rows.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines, "a new one,positive\r\n"]), encoding="utf-8", newline="")
    added = finished.run("run", "recipe.yaml")
    path.write_text("".join(lines[:-2]), encoding="utf-8", newline="")
    gone = finished.run("run", "recipe.yaml")

    assert "1 row differs, first at rows.csv:142" in added.err
    assert "2 rows of the lock are gone" in gone.err


def test_other_rows_on_purpose_renew_the_lock(finished: Project) -> None:
    before = accepted(finished)
    change_row(finished, 17, old=" and the ", new=" but the ")

    outcome = finished.run("run", "recipe.yaml", "--update-lock")

    assert outcome.code == 0, outcome.err
    assert "the accepted run is recorded in recipe.lock.json" in outcome.out
    assert report(finished.folder / ".recipe")["reproduction"] is None
    assert accepted(finished)["fingerprints"] != before["fingerprints"]


def test_another_tokenizer_is_refused_before_anything_is_asked(finished: Project) -> None:
    base = (finished.folder / "base").resolve()
    (finished.folder / "base").unlink()
    shutil.copytree(base, finished.folder / "base")
    path = finished.folder / "base" / "tokenizer_config.json"
    path.write_text(path.read_text("utf-8").replace("{", '{"added": 1, ', 1), encoding="utf-8")

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 3
    assert "the tokenizer is not that of the lock: `tokenizer_config.json` differs" in outcome.err
    assert repeated(finished)["first_difference"].startswith("tokenizer: ")


def test_a_changed_recipe_is_not_compared_and_its_acceptance_renews_the_lock(
    finished: Project,
) -> None:
    before = accepted(finished)
    finished.edit(method__rank=2)

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0, outcome.err
    assert "the lock proves another recipe (method changed since): nothing is compared" in " ".join(
        outcome.out.split()
    )
    assert accepted(finished)["recipe"]["digest"] != before["recipe"]["digest"]


def test_a_refused_run_leaves_what_was_accepted(finished: Project) -> None:
    before = accepted(finished)
    finished.edit(acceptance__metrics={"macro_f1": {"min": 0.999}})

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 1
    assert accepted(finished) == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"method__rank": 2}, "proves another recipe: method changed since"),
        ({"method__seed": 8}, "8 is not the lock's seed 7"),
    ],
)
def test_frozen_refuses_what_the_lock_does_not_cover(
    finished: Project, edit: dict[str, Any], message: str
) -> None:
    finished.edit(**edit)

    outcome = finished.run("run", "recipe.yaml", "--frozen")

    assert outcome.code == 2
    assert "D389" in outcome.err
    assert message in outcome.err
    assert len(run_folders(finished.folder / ".recipe")) == 1


def test_frozen_needs_a_lock_and_the_versions_of_it(finished: Project) -> None:
    path = finished.folder / LOCK
    whole = json.loads(path.read_text("utf-8"))
    whole["accepted"]["versions"]["torch"] = "1.0.0"
    path.write_text(json.dumps(whole), encoding="utf-8")
    other = finished.run("run", "recipe.yaml", "--frozen")
    path.unlink()
    absent = finished.run("run", "recipe.yaml", "--frozen")

    assert (other.code, absent.code) == (2, 2)
    assert "the lock has 1.0.0" in other.err
    assert "`recipe.lock.json` is not there" in absent.err


def test_another_version_is_what_differed_first(finished: Project) -> None:
    path = finished.folder / LOCK
    whole = json.loads(path.read_text("utf-8"))
    whole["accepted"]["versions"]["torch"] = "1.0.0"
    whole["accepted"]["adapter"]["adapter/adapter_model.safetensors"] = "0" * 64
    path.write_text(json.dumps(whole), encoding="utf-8")
    forget_store(finished)

    outcome = finished.run("run", "recipe.yaml")

    found = repeated(finished)
    assert outcome.code == 0, outcome.err
    assert found["verdict"] == "reproduced within noise"
    assert found["first_difference"].startswith("tool version: torch 1.0.0 -> ")
    assert found["agreement"]["value"] == 1.0
