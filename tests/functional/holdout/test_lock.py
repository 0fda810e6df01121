"""The lock through the command: rows added later, redraws, damage, other machines, and wear."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.project import Outcome, Project, rows
from support.runs import report, statuses

pytestmark = pytest.mark.thorough

LOCK = "recipe.lock.json"


def lock(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / LOCK).read_text(encoding="utf-8"))
    return found


def digests(project: Project) -> dict[str, str]:
    return {name: split["digest"] for name, split in lock(project)["splits"].items()}


def add_rows(project: Project, count: int) -> None:
    """Add rows that are not there yet."""
    new = rows(140 + count)[140:]
    with (project.folder / "rows.csv").open("a", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(new)


def drawn(project: Project) -> Outcome:
    outcome = project.run("run", "recipe.yaml", "--until", "data")
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.fixture
def small(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose splits are recorded; the current folder is its own."""
    monkeypatch.chdir(project.folder)
    drawn(project)
    return project


def test_a_run_records_its_splits_and_asks_to_commit_them(
    project: Project, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(project.folder)

    first, second = drawn(project), drawn(project)

    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(lock(project), schema, cls=jsonschema.Draft202012Validator)
    message = f"holdout recorded in {LOCK}: commit it with the recipe"
    assert message in first.out
    assert message not in second.out
    assert {name: split["rows"] for name, split in lock(project)["splits"].items()} == {
        "train": 60,
        "validation": 20,
        "holdout": 40,
    }
    proof = lock(project)["firewall"]
    assert proof["left_exact"] == 0
    assert lock(project)["holdout"] == {"looks": 0, "redraws": 0}


def test_the_plan_says_what_new_rows_will_do_and_the_run_does_it(small: Project) -> None:
    before = digests(small)
    add_rows(small, 12)

    planned = small.run("plan", "recipe.yaml")
    drawn(small)
    after = small.run("plan", "recipe.yaml")

    assert "a data source changed; the recorded holdout keeps its rows" in " ".join(
        planned.out.split()
    )
    summary = next(line for line in planned.out.splitlines() if line.startswith("  holdout"))
    assert "12 new rows: " in summary
    assert "holdout: 40 kept, 0 gone, 0 added" in summary
    assert summary in after.out
    assert digests(small)["holdout"] == before["holdout"]
    assert digests(small)["validation"] == before["validation"]
    assert lock(small)["holdout"]["redraws"] == 0
    recorded = report(small.folder / ".recipe")["data"]["recorded"]
    assert (recorded["kept"], recorded["gone"], recorded["added"]) == (40, 0, 0)
    assert sum(recorded["new_rows"].values()) == 12


def test_a_grown_holdout_is_the_same_on_a_fresh_machine(small: Project) -> None:
    add_rows(small, 12)
    drawn(small)
    before, text = digests(small), (small.folder / LOCK).read_bytes()
    assert lock(small)["drawn_with"]

    drawn(small)
    assert statuses(small.folder / ".recipe")["data"] == "reused"
    shutil.rmtree(small.folder / ".recipe")
    outcome = drawn(small)

    assert digests(small) == before
    assert (small.folder / LOCK).read_bytes() == text
    assert "holdout recorded" not in outcome.out


def test_without_the_lock_new_rows_draw_another_holdout(small: Project) -> None:
    """What the lock prevents: if this did not change, the tests above would show nothing."""
    before = digests(small)
    add_rows(small, 60)
    (small.folder / LOCK).unlink()

    drawn(small)

    assert digests(small)["holdout"] != before["holdout"]


def test_a_redraw_is_reported_before_and_counted_after(small: Project) -> None:
    before = digests(small)
    small.edit(splits__seed=8)

    planned = small.run("plan", "recipe.yaml")
    drawn(small)

    assert "the holdout is redrawn: splits.seed 7 -> 8" in " ".join(planned.out.split())
    assert digests(small)["holdout"] != before["holdout"]
    assert lock(small)["holdout"] == {"looks": 0, "redraws": 1}
    found = report(small.folder / ".recipe")
    assert found["holdout_use"]["redraws"] == 1
    (note,) = [text for text in found["notes"] if "another one" in text]
    assert "of its 40 rows were training rows then" in note


def test_each_new_verdict_is_a_look_and_a_reused_one_is_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    root = project.folder / ".recipe"
    looks = []
    for bound in (0.01, 0.01, 0.02):
        project.edit(acceptance={"metrics": {"macro_f1": {"min": bound}}})
        outcome = project.run("run", "recipe.yaml", "--until", "gate")
        assert outcome.code in (0, 1), outcome.err
        looks.append((statuses(root)["gate"], report(root)["holdout_use"]["looks"]))

    assert looks == [("ran", 1), ("reused", 1), ("ran", 2)]
    # The verdict is there: the rest of the run belongs to it.
    assert project.run("run", "recipe.yaml").code == 0
    assert (statuses(root)["verify"], report(root)["holdout_use"]["looks"]) == ("ran", 2)
    assert lock(project)["holdout"]["looks"] == 2
    assert "holdout used for 2 decisions" in outcome.out
    (record,) = (root / "holdouts").glob("*.json")
    assert record.stem == digests(project)["holdout"]


def test_the_plan_of_new_rows_is_light(small: Project, root: Path) -> None:
    add_rows(small, 12)
    script = (
        "import sys; from engine.cli.main import main\n"
        "main(sys.argv[1:])\n"
        "print('MODULES', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, "plan", "recipe.yaml"],
        cwd=small.folder, env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "12 new rows" in result.stdout
    loaded = set(result.stdout.rpartition("MODULES")[2].split())
    assert loaded & {"torch", "sklearn", "scipy", "transformers", "pandas", "pyarrow"} == set()
