"""`recipe report`: the files of a run as they are, and the report for a terminal."""

from support.project import Project


def test_a_finished_run_is_shown_for_the_terminal(finished: Project) -> None:
    outcome = finished.run("report", "tiny", "--format", "text")

    assert outcome.code == 0
    assert outcome.out.startswith("ACCEPTED  tiny\n")
    for title in ("Acceptance", "Baselines", "Exported file", "Environment"):
        assert f"\n{title}\n" in outcome.out


def test_a_recipes_file_means_its_latest_run(finished: Project) -> None:
    by_name, by_file = (
        finished.run("report", run, "--format", "text") for run in ("tiny", "recipe.yaml")
    )

    assert (by_file.code, by_file.out) == (0, by_name.out)


def test_its_commands_name_the_store_that_it_was_given(finished: Project) -> None:
    (finished.folder / ".recipe").rename(finished.folder / "my results")

    outcome = finished.run("report", "tiny", "--format", "text", "--store", "my results")

    assert outcome.code == 0
    assert "\nrecipe serve tiny --store 'my results'\n" in outcome.out


def test_a_report_that_is_none_is_named(finished: Project) -> None:
    (run,) = (finished.folder / ".recipe" / "runs" / "tiny").iterdir()
    (run / "report.json").write_text("{}", encoding="utf-8")

    outcome = finished.run("report", "tiny", "--format", "text")

    assert outcome.code != 0
    assert "E758" in outcome.err
