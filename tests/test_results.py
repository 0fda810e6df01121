"""The results page: recipes by one rule, runs that are not repeated, and numbers that say where they are from."""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.recipe import check_recipe
from engine.recipe.baselines import BASELINES
from support.reports import report_fields
from support.results import SharedSources, made_case

# after `support.results`, which says where they are
import results  # isort: skip
from results_cases import CASES, Case, Group, Settings, quickstart_base, recipe_of  # isort: skip
from results_page import page  # isort: skip
from results_reports import collect  # isort: skip
from results_rows import Sources  # isort: skip

TINY = made_case()
SETTINGS = Settings(base=quickstart_base())


def written(case: Case, seed: int = 1) -> dict[str, Any]:
    text = recipe_of(
        case, labels=("a", "b"), rows={"path": "rows.jsonl"}, seed=seed, settings=SETTINGS
    )
    found: dict[str, Any] = yaml.safe_load(text)
    return found


# Recipes


def test_there_are_sets_of_many_kinds_and_names_stand_once() -> None:
    held_apart = [case for case in CASES if case.group is Group.HELD_APART]

    assert len(held_apart) >= 12
    assert len({case.kind for case in held_apart}) >= 5
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_recipe_of_a_set_is_valid_and_has_rows_enough(
    case: Case, shared_data: Path, tmp_path: Path
) -> None:
    try:
        rows = case.rows(SharedSources(data=shared_data, packages=tmp_path / "packages"))
    except FileNotFoundError as error:
        pytest.skip(f"there is no {error.filename}")
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        recipe_of(
            case,
            labels=case.labels(rows),
            rows={"path": "rows.jsonl"},
            seed=1,
            settings=SETTINGS,
        ),
        encoding="utf-8",
    )

    assert check_recipe(recipe)[1] == ()
    assert sum(case.sizes) < len(rows)
    if case.group is not Group.HELD_APART:
        assert all(sha256(row["text"].encode()).digest()[0] % 2 for row in rows)


def test_a_recipe_says_nothing_of_the_method_but_its_kind_and_a_seed() -> None:
    recipe = written(TINY, seed=3)

    assert recipe["method"] == {"kind": "lora", "seed": 3}
    assert recipe["splits"]["seed"] == 3
    assert "backend" not in recipe


def test_acceptance_asks_for_a_gain_over_every_baseline_and_for_no_more_than_guessing() -> None:
    recipe = written(TINY)

    assert recipe["acceptance"] == {
        "metrics": {"macro_f1": {"min": 0.5}},
        "over_baselines": {"macro_f1": {"min_gain": 0.02}},
    }
    assert recipe["stop_if_baseline_passes"] is False
    assert recipe["export"]["quantization"] == ["Q4_K_M", "Q8_0"]


def test_a_target_is_the_only_bound_and_lets_a_baseline_end_the_run() -> None:
    recipe = written(replace(TINY, target=0.9))

    assert recipe["acceptance"] == {"metrics": {"macro_f1": {"min": 0.9}}}
    assert recipe["stop_if_baseline_passes"] is True


def test_baselines_are_those_that_the_engine_has_for_the_kind() -> None:
    wanted = ["majority", "tfidf_svm", "encoder_linear", "encoder_tuned", "zero_shot", "few_shot"]
    answers = replace(TINY, kind="extraction")

    assert written(TINY)["baselines"] == [name for name in wanted if name in BASELINES]
    assert "tfidf_svm" not in written(answers)["baselines"]
    assert answers.why_not("tfidf_svm") == "this baseline does not answer such tasks"


def test_rows_of_development_have_an_odd_digest_and_no_twin_among_the_even_ones() -> None:
    texts = [f"text {number}" for number in range(40)]
    odd = [text for text in texts if sha256(text.encode()).digest()[0] % 2]
    even = next(text for text in texts if text not in odd)
    twin = next(
        text
        for text in (even.upper(), f"{even} ", f" {even}", even.title(), f"  {even}")
        if sha256(text.encode()).digest()[0] % 2
    )
    case = made_case(
        group=Group.DEVELOPMENT,
        read=lambda _: [{"text": text, "label": "a"} for text in (*texts, twin)],
        sizes=(40, 10, 10),
    )

    rows = case.rows(Sources(data=Path(), packages=Path()))

    assert sorted(row["text"] for row in rows) == sorted(odd)


# Runs


class Engine:
    """Stands for the engine: leaves example reports, one after the other, and then the last one again."""

    def __init__(self, *reports: str) -> None:
        self.reports = list(reports)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, words: Sequence[str], folder: Path) -> tuple[int, str]:
        del folder
        recipe = yaml.safe_load(Path(words[1]).read_text(encoding="utf-8"))
        self.asked.append(recipe)
        report = self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]
        if not report.isidentifier():
            return 2, report
        store = Path(words[words.index("--store") + 1])
        runs = store / "runs" / recipe["name"]
        run = runs / f"run-{len(list(runs.glob('*')))}"
        run.mkdir(parents=True)
        (run / "report.json").write_text(json.dumps(report_fields(report)), encoding="utf-8")
        (run / "model-Q4_K_M.gguf").write_bytes(b"model")
        (run / "run.json").write_text("{}", encoding="utf-8")
        for stage in ("package", "merge"):
            made = store / "store" / "ab" / f"{stage}-{len(self.asked)}"
            made.mkdir(parents=True, exist_ok=True)
            (made / "artifact.json").write_text(json.dumps({"stage": stage}), encoding="utf-8")
        return 0, ""


def job(tmp_path: Path, case: Case = TINY) -> results.Job:
    return results.Job(case=case, seed=1, work=tmp_path)


def run(tmp_path: Path, engine: results.Command, case: Case = TINY, *, again: bool = False) -> str:
    runner = results.Runner(
        sources=Sources(data=tmp_path / "data", packages=tmp_path / "packages"),
        settings=SETTINGS,
        command=engine,
        commit="abc123",
        again=again,
    )
    return runner.run(job(tmp_path, case), tmp_path / "store")


def test_a_file_that_the_engine_did_not_ask_is_asked_afterwards(tmp_path: Path) -> None:
    engine = Engine("rich")

    assert run(tmp_path, engine) == "accepted"

    asked = [recipe["export"]["quantization"] for recipe in engine.asked]
    assert asked == [["Q4_K_M", "Q8_0"], ["Q8_0"]]
    assert (job(tmp_path).folder / "Q8_0" / "report.json").is_file()


def test_files_of_a_refused_model_are_made_by_a_recipe_without_the_gain(tmp_path: Path) -> None:
    engine = Engine("refused")

    assert run(tmp_path, engine) == "refused"

    (verdict, four, eight) = engine.asked
    assert "over_baselines" in verdict["acceptance"]
    assert four["acceptance"] == eight["acceptance"] == {"metrics": {"macro_f1": {"min": 0.5}}}
    assert four["export"]["quantization"] == ["Q4_K_M"]
    assert {**four, "acceptance": 0, "export": 0} == {**verdict, "acceptance": 0, "export": 0}


def test_nothing_is_measured_where_nothing_was_trained(tmp_path: Path) -> None:
    engine = Engine("baseline_passes")

    assert run(tmp_path, engine) == "baseline passes"
    assert len(engine.asked) == 1


def test_a_run_whose_files_were_not_measured_is_continued_with_them(tmp_path: Path) -> None:
    run(tmp_path, Engine("refused", "R302: no disk"))
    engine = Engine("refused")

    assert run(tmp_path, engine) == "refused"

    assert [recipe["export"]["quantization"] for recipe in engine.asked] == [["Q4_K_M"], ["Q8_0"]]


def test_a_run_that_came_to_an_end_is_not_repeated(tmp_path: Path) -> None:
    run(tmp_path, Engine("refused"))

    assert run(tmp_path, Engine()) == "done before: refused"


@pytest.mark.parametrize("first", ["failed", "R246: name at least one metric"])
def test_a_run_that_failed_is_tried_again(tmp_path: Path, first: str) -> None:
    run(tmp_path, Engine(first))

    assert run(tmp_path, Engine("refused")) == "refused"
    assert not (job(tmp_path).folder / "problem.txt").exists()


def test_a_report_of_another_recipe_does_not_stand_for_one_that_was_broken_off(
    tmp_path: Path,
) -> None:
    run(tmp_path, Engine("refused"))
    changed = replace(TINY, target=0.9)

    def broken_off(words: Sequence[str], folder: Path) -> tuple[int, str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, broken_off, changed)

    assert run(tmp_path, Engine("rich"), changed) == "accepted"


def test_another_engine_runs_again_what_is_done(tmp_path: Path) -> None:
    run(tmp_path, Engine("refused"))

    assert run(tmp_path, Engine("generation"), again=True) == "refused"


def test_models_are_deleted_and_what_was_fetched_stays(tmp_path: Path) -> None:
    run(tmp_path, Engine("refused"))

    kept = [path.name for path in tmp_path.glob("store/store/*/*")]
    assert sorted(kept) == ["package-1", "package-2", "package-3"]
    assert not list(tmp_path.rglob("*.gguf"))


def test_absent_data_are_named_with_their_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--only", "sms_spam", "--seeds", "1", "--data", str(tmp_path)]

    code = results.main(["run", *words, "--work", str(tmp_path / "work")], Engine())

    assert code == 1
    out = capsys.readouterr().out
    assert "sms_spam, seed 1: no data at " in out
    assert "they are SMS Spam Collection v.1" in out


def test_a_run_keeps_the_commit_of_its_engine(
    tmp_path: Path,
) -> None:
    run(tmp_path, Engine("refused"))

    table = collect(tmp_path, [TINY])

    (facts,) = table.lines[0].runs
    assert facts.commit == "abc123"
    assert "; commit abc123" in page(table)
