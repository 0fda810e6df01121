"""`recipe diff` on files and on revisions of a real repository."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.recipe.validation.schema import schema_text
from support.git_repository import Git, recipe, repository
from support.project import Outcome
from support.recipe_pairs import CASES, write_case_lock, write_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    git: Git
    capsys: pytest.CaptureFixture[str]

    def diff(self, *words: str) -> Outcome:
        return recipe(self.capsys, "diff", *words)

    def found(self, *words: str) -> dict[str, Any]:
        outcome = self.diff(*words, "--format", "json")
        result: dict[str, Any] = json.loads(outcome.out)
        return result


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Place:
    folder = tmp_path / "team"
    folder.mkdir()
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    rows = write_rows(folder)
    git = repository(folder, {"tickets.yaml": text.replace("TICKETS", rows)})
    monkeypatch.chdir(folder)
    return Place(git=git, capsys=capsys)


LOWER = ("macro_f1: {min: 0.60}", "macro_f1: {min: 0.55}")


def test_a_review_is_printed_as_in_the_design(place: Place) -> None:
    place.git.edit("tickets.yaml", *LOWER)
    place.git.edit("tickets.yaml", "seed: 7", "seed: 8")
    place.git.edit("tickets.yaml", "rank: 16", "rank: 32")

    outcome = place.diff("tickets.yaml", "--from", "main")

    lines, words = outcome.out.splitlines(), " ".join(outcome.out.split())
    assert (outcome.code, lines[0]) == (0, "The gate got weaker")
    assert lines[1].split() == ["acceptance.metrics.macro_f1.min", "0.6", "->", "0.55"]
    assert "splits.seed 7 -> 8 the holdout is redrawn" in words
    assert "of 60 new holdout rows were training rows before" in words
    assert "The model changes" in lines
    assert lines[-1] == "W101, W201, W203 · recipe explain W101"
    again = "data baseline compile train evaluate forgetting gate merge quantize verify report"
    assert f"Reruns {again} W101" in words


def test_the_json_is_what_its_schema_says(place: Place) -> None:
    place.git.edit("tickets.yaml", *LOWER)
    place.git.edit("tickets.yaml", "epochs: 2", "epochs: 3")

    found = place.found("tickets.yaml", "--from", "HEAD")

    jsonschema.validate(found, json.loads(schema_text("diff.v1.schema.json")))
    assert found["gate"]["verdict"] == "weaker"
    assert [one["code"] for one in found["gate"]["findings"]] == ["W101"]
    assert found["reruns"] == [
        "compile",
        "train",
        "evaluate",
        "forgetting",
        "gate",
        "merge",
        "quantize",
        "verify",
        "report",
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [((), 0), (("--exit-code",), 1), (("--fail-on", "weaker-gate"), 1)],
)
def test_the_exit_code_answers_what_was_asked(
    place: Place, words: tuple[str, ...], code: int
) -> None:
    place.git.edit("tickets.yaml", *LOWER)

    assert place.diff("tickets.yaml", "--from", "HEAD", *words).code == code


WAIVER = "\nwaivers:\n  - what: {what}\n    why: The old bound was a guess.\n"


@pytest.mark.parametrize("what", ["acceptance.metrics.macro_f1.min", "acceptance.metrics", "W101"])
def test_a_waiver_takes_the_alarm_away_and_keeps_the_finding(place: Place, what: str) -> None:
    place.git.edit("tickets.yaml", *LOWER)
    path = place.git.folder / "tickets.yaml"
    path.write_text(path.read_text("utf-8") + WAIVER.format(what=what), encoding="utf-8")

    outcome = place.diff("tickets.yaml", "--from", "HEAD", "--fail-on", "weaker-gate")

    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "The gate got weaker, as waived")
    assert "waived: The old bound was a guess." in outcome.out


def test_a_waiver_of_something_else_waives_nothing(place: Place) -> None:
    place.git.edit("tickets.yaml", *LOWER)
    path = place.git.folder / "tickets.yaml"
    path.write_text(path.read_text("utf-8") + WAIVER.format(what="splits.seed"), encoding="utf-8")

    assert place.diff("tickets.yaml", "--from", "HEAD", "--fail-on", "weaker-gate").code == 1


def test_two_revisions_are_compared_without_the_working_tree(place: Place) -> None:
    first = place.git.run("rev-parse", "HEAD")
    place.git.edit("tickets.yaml", *LOWER)
    second = place.git.commit()
    place.git.edit("tickets.yaml", "{min: 0.55}", "{min: 0.10}")

    found = place.found("tickets.yaml", "--from", first, "--to", second)

    assert [one["after"] for one in found["gate"]["findings"]] == ["0.55"]


def test_recorded_rows_that_are_taken_out_of_the_data_are_missed(place: Place) -> None:
    place.git.edit("tickets.yaml", "      sha256: ", "      # sha256: ")
    write_case_lock(place.git.folder / "tickets.yaml", "recorded")
    place.git.commit()
    path = place.git.folder / "tickets.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[60:]]), encoding="utf-8")

    (finding,) = place.found("tickets.yaml", "--from", "HEAD")["gate"]["findings"]

    assert (finding["code"], finding["path"]) == ("W206", "data.sources[0]")
    assert "12 of 60 rows that judged no longer do" in finding["says"]


def test_a_file_that_no_longer_leaves_needs_no_bound(place: Place) -> None:
    path = place.git.folder / "tickets.yaml"
    kept = path.read_text("utf-8").partition("export:\n")[0]
    # that merging changes no answer holds whatever leaves
    parity = "  parity: {agreement: {min: 0.99}}\n"
    path.write_text(f"{kept}export:\n  formats: [safetensors]\n{parity}", encoding="utf-8")

    assert place.found("tickets.yaml", "--from", "HEAD")["gate"]["verdict"] == "stays"


def test_a_review_writes_nothing(place: Place) -> None:
    place.git.edit("tickets.yaml", *LOWER)
    before = place.git.run("status", "--short", "--ignored")

    place.diff("tickets.yaml", "--from", "main")

    assert place.git.run("status", "--short", "--ignored") == before == "M tickets.yaml"


def test_two_files_need_no_git(place: Place) -> None:
    text = (place.git.folder / "tickets.yaml").read_text("utf-8")
    (place.git.folder / "other.yaml").write_text(text.replace(*LOWER), encoding="utf-8")

    assert place.found("tickets.yaml", "other.yaml")["gate"]["unwaived"] == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("tickets.yaml",), "R022"),
        (("tickets.yaml", "other.yaml", "--from", "main"), "R022"),
        (("tickets.yaml", "other.yaml", "--to", "main"), "R022"),
        (("tickets.yaml", "--from", "no-such"), "R021"),
        (("tickets.yaml", "--from", "--output=x"), "R021"),
        (("new.yaml", "--from", "main"), "R103"),
    ],
)
def test_what_cannot_be_compared_is_reported(
    place: Place, words: tuple[str, ...], code: str
) -> None:
    place.git.write({"new.yaml": "recipe: v1\n"})
    words = tuple(word if word != "--output=x" else "--output=x" for word in words)
    if "--output=x" in words:
        words = ("tickets.yaml", "--from=--output=x")

    outcome = place.diff(*words)

    assert (outcome.code, code in outcome.err) == (2, True)
    assert not (place.git.folder / "x").exists()


def test_outside_of_a_repository_a_revision_means_nothing(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "alone.yaml"
    path.write_text("recipe: v1\n", encoding="utf-8")

    outcome = recipe(capsys, "diff", str(path), "--from", "main")

    assert (outcome.code, "R020" in outcome.err) == (2, True)


def test_an_invalid_version_is_reported_with_its_problems(place: Place) -> None:
    place.git.edit("tickets.yaml", "rank: 16", "rnk: 16")

    outcome = place.diff("tickets.yaml", "--from", "HEAD")

    assert (outcome.code, "R104" in outcome.err) == (2, True)


@pytest.mark.parametrize("versions", [(), ("--from", "HEAD"), ("--from", "HEAD", "--to", "HEAD")])
def test_a_recipe_that_leads_out_of_its_project_is_quoted_in_no_version(
    place: Place, versions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A user who allows nothing outside of a project.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place.git.folder.parent / "config"))
    secret = place.git.folder.parent / "secret.yaml"
    secret.write_text("recipe: v1\npassword: hunter2\n", encoding="utf-8")
    (place.git.folder / "link.yaml").symlink_to(secret)
    place.git.commit()
    files = ("link.yaml",) if versions else ("tickets.yaml", "link.yaml")

    outcome = place.diff(*files, *versions)

    assert outcome.code == 2
    assert "R306" in outcome.err + outcome.out
    assert "hunter2" not in outcome.err + outcome.out
