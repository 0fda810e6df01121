"""A `.recipe` that came with a repository: shown as somebody else's, not used."""

import json
from pathlib import Path

import pytest

from support.project import Outcome, Project
from support.runs import report, run_folders, statuses

pytestmark = pytest.mark.thorough


@pytest.fixture
def stranger(
    finished: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """An accepted project of another user, as a clone brings it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    return finished


@pytest.fixture
def earlier(stranger: Project) -> Project:
    """An accepted project of this user, by a version that did not sign."""
    root = stranger.folder / ".recipe"
    for path in (*root.glob("store/*/*/artifact.json"), *root.glob("runs/*/*/run.json")):
        fields = json.loads(path.read_text(encoding="utf-8"))
        del fields["signed"]
        path.write_text(json.dumps(fields), encoding="utf-8")
    return stranger


def planned(outcome: Outcome) -> set[tuple[str, str]]:
    found = json.loads(outcome.out)
    return {(stage["state"], stage["why"]) for stage in found["stages"]}


@pytest.mark.parametrize("whose", ["stranger", "earlier"])
def test_a_plan_reuses_nothing_of_it_and_says_why(
    whose: str, request: pytest.FixtureRequest
) -> None:
    project: Project = request.getfixturevalue(whose)

    text, found = (
        project.run("plan", "recipe.yaml", "--format", form) for form in ("text", "json")
    )

    assert planned(found) == {
        ("run", "its stored result was not made here"), ("wait", "if the gate passes"), ("wait", ""),
        ("run", "baseline, evaluate"),  # the gate, whose rival is now the accepted run of the lock
    }  # fmt: skip
    assert "were not made here, or by an earlier version" in text.out


def test_its_accepted_run_is_not_asked_compared_challenged_or_signed(stranger: Project) -> None:
    for words in (
        ("try", "tiny", "good"),
        ("compare", "tiny", "tiny"),
        ("challenge", "recipe.yaml", "--base-model", "base"),
        ("export", "bundle", "tiny"),
        ("report", "tiny", "--open"),
    ):
        outcome = stranger.run(*words)

        assert (words[0], outcome.code) == (words[0], 3)
        assert "E751" in outcome.err
        assert "SLM_RECIPE_STORE_KEY_FILE" in outcome.err
    assert not list(stranger.folder.glob("*.tar"))


def test_its_runs_are_shown_as_somebody_elses(stranger: Project) -> None:
    report, listed = stranger.run("report", "tiny"), stranger.run("runs")

    assert report.code == 0
    assert report.err.startswith("E751")
    assert "was not made here" in report.err
    assert "accepted (not made here)" in listed.out
    assert "macro_f1" not in listed.out


def test_a_run_says_how_much_it_does_not_use_and_builds_it_again(stranger: Project) -> None:
    root = stranger.folder / ".recipe"

    outcome = stranger.run("run", "recipe.yaml", "--until", "data")

    assert outcome.code == 0, outcome.err
    assert outcome.err.count("E751") == 2  # the line, and where to read more
    assert "and 1 run in `.recipe` were not made here" in outcome.err
    assert "SLM_RECIPE_STORE_KEY_FILE" in outcome.err
    assert statuses(root)["data"] == "ran"
    assert any("E751" in line for line in report(root)["warnings"])
    assert len(list((root / "foreign").iterdir())) >= 2  # data and its holdout
    assert stranger.run("plan", "recipe.yaml").out.count("reuse ") == 1


def test_a_run_that_somebody_edited_is_not_built_on(finished: Project) -> None:
    (run,) = run_folders(finished.folder / ".recipe")
    text = (run / "report.json").read_text(encoding="utf-8")
    (run / "report.json").write_text(text.replace("accepted", "Accepted", 1), encoding="utf-8")

    for words in (("export", "bundle", "tiny"), ("compare", "tiny", "tiny"), ("try", "tiny", "x")):
        outcome = finished.run(*words)
        assert (words[0], outcome.code, "E758" in outcome.err) == (words[0], 3, True)


def test_a_model_that_changed_is_neither_asked_nor_signed(finished: Project) -> None:
    (run,) = run_folders(finished.folder / ".recipe")
    (model,) = run.glob("*.gguf")
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.unlink()
    model.write_bytes(content)

    for words in (("export", "bundle", "tiny"), ("try", "tiny", "good")):
        outcome = finished.run(*words)
        assert (words[0], outcome.code, "E758" in outcome.err) == (words[0], 3, True)
    assert not list(Path.cwd().glob("*.tar"))
