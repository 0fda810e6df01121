"""The results page: means with honest intervals, and numbers that are missing say why."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.results import put_report

# after `support.results`, which says where they are
import results  # isort: skip
from results_page import page, write_pages, written_pages  # isort: skip
from results_reports import collect  # isort: skip
from results_table import Measured, Results, joined, mean_of_metrics, read_results  # isort: skip


def measured(value: float, low: float, high: float) -> Measured:
    return Measured(value=value, low=low, high=high)


# Means


def test_a_mean_has_the_interval_of_a_run_where_seeds_agree() -> None:
    number = mean_of_metrics([measured(0.8, 0.7, 0.85), measured(0.8, 0.72, 0.87)])

    assert number.mean == pytest.approx(0.8)
    assert number.low == pytest.approx(0.71)
    assert number.high == pytest.approx(0.86)
    assert number.runs == 2


def test_a_mean_has_the_interval_over_seeds_where_they_differ() -> None:
    values = (0.6, 0.7, 0.8)
    number = mean_of_metrics([measured(value, value, value) for value in values])

    # Student's: 4.303 times 0.1 through the root of 3
    assert number.low == pytest.approx(0.7 - 0.2484, abs=1e-4)
    assert number.high == pytest.approx(0.7 + 0.2484, abs=1e-4)


def test_an_interval_of_a_share_ends_where_shares_do() -> None:
    found = [measured(value, value, value) for value in (0.8, 0.99)]

    assert mean_of_metrics(found).high == 1.0
    assert mean_of_metrics(found, is_share=False).high == pytest.approx(0.895 + 12.706 * 0.095)


def test_a_missing_number_says_why_and_the_others_still_count() -> None:
    number = mean_of_metrics([measured(0.8, 0.7, 0.9), Measured(missing="not trained")])

    assert (number.mean, number.runs, number.missing) == (0.8, 1, ("not trained",))


# Pages


@pytest.fixture
def found(tmp_path: Path) -> Results:
    """Sets of every kind of end."""
    work = tmp_path / "work"
    for seed in (1, 2, 3):
        put_report(work, "tweets", seed, "rich" if seed < 3 else "refused")
    put_report(work, "gsm8k", 1, "generation")
    put_report(work, "gsm8k", 1, "generation", folder="Q4_K_M")
    put_report(work, "emotions", 1, "refused_by_the_ladder")
    put_report(work, "spam_filter", 1, "baseline_passes")
    put_report(work, "amazon", 1, "failed")
    broken = work / "pidgin" / "seed-1"
    broken.mkdir(parents=True)
    (broken / "problem.txt").write_text("D101 the file is not there\nhint", encoding="utf-8")
    return collect(work)


def line_of(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_set_has_a_line_with_means_verdicts_and_what_is_missing(found: Results) -> None:
    text = page(found)

    cells = line_of(text, "tweets:")
    assert cells[1:3] == ["3", "400 + 100 + 300"]
    assert cells[5] == "`macro_f1`"
    assert cells[12].startswith("0.844 (")
    assert cells[13].startswith("0.893 (0.857 to 0.926), of 2 seeds (")
    assert cells[-1] == "2 accepted, 1 refused"


def test_every_missing_number_has_a_reason(found: Results) -> None:
    reasons = [
        reason
        for line in found.lines
        for number in (
            *(*line.means.scores.values(), *line.means.megabytes.values()),
            *(*line.means.rows_a_second.values(), line.means.minutes),
        )
        if number.mean is None
        for reason in number.missing or ("",)
    ]

    assert "" not in reasons
    assert "not trained, because a baseline passes" in reasons
    assert "refused, and no file was measured" in reasons
    assert any(reason.startswith("no file was made: `answer_match` 0.037 (") for reason in reasons)
    assert "this baseline does not answer such tasks" in reasons
    assert "the engine left no report: D101 the file is not there" in reasons
    assert "the run failed: The train stage failed." in reasons


def test_kinds_that_answer_nothing_have_no_rows_a_second(tmp_path: Path) -> None:
    put_report(tmp_path, "dialogues", 1, "chat")

    (line,) = collect(tmp_path).lines

    assert line.means.rows_a_second["Q4_K_M"].missing == ("nothing is generated",)


def test_refusals_say_what_was_measured_and_what_was_asked(found: Results) -> None:
    text = page(found).partition("## Where the engine refused")[2].partition("## How")[0]

    sums = line_of(text, "gsm8k")
    assert sums[2] == "refused"
    assert "`answer_match` 0.037 (" in sums[3]
    assert sums[4] == "beyond a model of this size"
    assert line_of(text, "spam_filter")[2] == "baseline passes"
    assert "tfidf\\_svm already passes" in line_of(text, "spam_filter")[3]
    assert "no report" in line_of(text, "pidgin")


def test_the_score_of_each_exported_file_is_set_against_the_best_baseline(found: Results) -> None:
    text = page(found).partition("## The exported files")[2].partition("## Where")[0]

    (run, *_) = next(line for line in found.lines if line.name == "tweets").runs
    scores = {name: one.value for name, one in run.scores.items() if one.value is not None}
    best = max(scores[name] for name in scores if name in ("majority", "tfidf_svm", "zero_shot"))
    cells = line_of(text, "tweets | 1")
    assert cells[1:3] == ["1", "Q4_K_M"]
    assert cells[4].startswith(f"{scores['Q4_K_M']:.3f} (")
    assert cells[-1].strip(" |") == f"{scores['Q4_K_M'] - best:+.3f}"
    assert "refused" not in text


def test_sets_of_development_stand_apart(found: Results) -> None:
    text = page(found)

    held_apart, development = text.split("## Sets of development")
    assert "| emotions: " not in held_apart
    assert "| emotions: " in development
    assert "| tweets: " in held_apart


def test_the_page_names_hardware_versions_and_days(found: Results) -> None:
    text = page(found)

    assert "- Hardware: 2 CPU cores, no GPU" in text
    assert "python 3.13.1, torch 2.13.0" in text
    assert "- Runs: 8 on 6 sets, 2026-11-24; 1 set has 3 seeds\n" in text
    assert line_of(text, "editorials")[-1] == "not run"


def test_pages_are_made_again_from_the_table_alone(found: Results, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- results: begin -->\nold\n<!-- results: end -->\nb\n", "utf-8")

    files = write_pages(found, tmp_path / "docs", readme)

    assert [path.name for path in files] == ["results.json", "results.md", "README.md"]
    again = written_pages(tmp_path / "docs" / "results.json", readme)
    assert {path: path.read_text("utf-8") for path in again} == again
    assert readme.read_text("utf-8").startswith("a\n<!-- results: begin -->\nOn 2 CPU")
    assert "\nold\n" not in readme.read_text("utf-8")


def test_means_of_the_table_are_those_of_its_runs(found: Results, tmp_path: Path) -> None:
    path, *_ = write_pages(found, tmp_path)
    data = json.loads(path.read_text("utf-8"))
    assert data["lines"][0]["means"]["scores"]["tuned"]["runs"] == 3
    data["lines"][0]["means"]["scores"]["tuned"]["mean"] = 1.0
    path.write_text(json.dumps(data), encoding="utf-8")

    assert read_results(path) == found
    assert json.loads(written_pages(path)[path])["lines"][0]["means"]["scores"]["tuned"]["mean"] < 1


# Seeds of several sessions


Session = dict[int, str]
"""Example reports of one set, by seed."""


def pages_of(tmp_path: Path, *sessions: Session) -> Results:
    """Return the table after the page was made of one session after the other, each of a work folder of its own."""
    output = tmp_path / "docs"
    for number, session in enumerate(sessions):
        work = tmp_path / f"session-{number}"
        for seed, report in session.items():
            put_report(work, "tweets", seed, report)
        assert results.main(["page", "--work", str(work), "--output", str(output)]) == 0
    return read_results(output / "results.json")


@pytest.mark.parametrize(
    ("sessions", "whole"),
    [
        pytest.param(({1: "rich"}, {2: "refused"}), {1: "rich", 2: "refused"}, id="another seed"),
        pytest.param(({2: "refused"}, {1: "rich"}), {1: "rich", 2: "refused"}, id="out of order"),
        pytest.param(({1: "rich"}, {3: "refused"}), {1: "rich", 3: "refused"}, id="a missing seed"),
        pytest.param(
            ({1: "rich", 2: "rich", 3: "rich"}, {2: "refused"}),
            {1: "rich", 2: "refused", 3: "rich"},
            id="the same seed",
        ),
    ],
)
def test_seeds_of_several_sessions_are_those_of_one(
    tmp_path: Path, sessions: tuple[Session, ...], whole: Session
) -> None:
    several = pages_of(tmp_path / "several", *sessions)
    one = pages_of(tmp_path / "one", whole)

    assert several == one
    (line,) = several.lines
    assert [run.seed for run in line.runs] == sorted(whole)
    assert line.means == one.lines[0].means
    assert line_of(page(several), "tweets:")[1] == str(len(whole))


def test_a_number_says_of_how_many_seeds_it_is_where_some_have_none(tmp_path: Path) -> None:
    cells = line_of(page(pages_of(tmp_path, {1: "rich"}, {2: "refused"})), "tweets:")

    assert cells[13].endswith(", of 1 seed (b)")


def test_other_sets_versions_and_notes_of_earlier_sessions_stay(found: Results) -> None:
    line, *others = found.lines
    notes = ("One core for each run.",)
    earlier = replace(found, versions={"torch": "2.0"}, notes=notes, lines=tuple(others))
    (run, *_) = line.runs
    newest = replace(run, started="2027-01-02T10:00:00+00:00", commit="abc")

    both = joined(
        earlier,
        Results(versions={"torch": "2.1"}, lines=(replace(line, runs=(newest,)),)),
    )

    assert both.lines == (replace(line, runs=(newest,)), *others)
    assert both.dates == (found.dates[0], "2027-01-02")
    assert both.commits == ("abc",)
    assert both.versions == {"torch": "2.0, 2.1"}
    assert "\n- One core for each run.\n" in page(both)


def test_a_column_that_an_earlier_run_has_not_says_so(found: Results) -> None:
    line = found.lines[0]
    run, *others = line.runs
    older = replace(run, scores={name: run.scores[name] for name in ("majority", "tuned")})

    number = replace(line, runs=(older, *others)).means.scores["Q8_0"]

    assert "this was not measured when the seed was run" in number.missing


def test_numbers_of_two_metrics_make_no_mean(found: Results) -> None:
    line = replace(found.lines[0], metric="accuracy")

    with pytest.raises(ValueError, match="tweets was judged by macro_f1, and is now by accuracy"):
        joined(found, replace(found, lines=(line,)))


def test_a_table_of_another_version_is_joined_with_nothing(found: Results, tmp_path: Path) -> None:
    path, *_ = write_pages(found, tmp_path / "docs")
    old = path.read_text("utf-8").replace('"results.v2"', '"results.v1"')
    path.write_text(old, encoding="utf-8")
    words = ["page", "--work", str(tmp_path / "work"), "--output", str(tmp_path / "docs")]

    with pytest.raises(
        SystemExit, match=r"results\.json is results\.v1, and this reads results\.v2"
    ):
        results.main(words)

    assert path.read_text("utf-8") == old
    assert results.main([*words, "--fresh"]) == 0
    assert read_results(path) == found


def test_the_pages_of_the_repository_are_those_of_its_table() -> None:
    assert results.main(["page", "--check", "--readme"]) == 0
