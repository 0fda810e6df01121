import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.evidence import Check, Status
from engine.lock.coherence import answer_facts
from engine.lock.file import Accepted
from engine.lock.previous import GONE, LOCK, Previous, find_previous
from engine.metrics.comparing import Earlier, Rivals, compare, judge_previous
from engine.metrics.predictions import Judging, Prediction, write_predictions
from engine.metrics.scoring import values_of
from engine.recipe.model import MaxDrop
from engine.store import make_key
from engine.store.records import AcceptedRun
from engine.values import replace
from support.stage_bench import Bench, make_bench


def rows(count: int, *, target: str = "negative") -> list[Prediction]:
    return [
        Prediction(id=f"{n:016x}", target=target, label="negative", text="", probability=None)
        for n in range(count)
    ]


def accepted(bench: Bench, train: str, answers: list[Prediction] | None) -> AcceptedRun:
    """A run of a model trained under that key; without answers in the store where None."""
    key = make_key({"evaluate": train})
    if answers is not None:

        def build(folder: Path) -> None:
            write_predictions(folder / "predictions.holdout.jsonl", answers)

        bench.store.put("evaluate", key, build)
    keys = {"train": train, "evaluate": key.digest}
    return AcceptedRun(folder=bench.folder / train, keys=keys, started="2026-11-23T10:00:00+00:00")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def test_the_newest_accepted_model_is_taken(bench: Bench) -> None:
    runs = [accepted(bench, name, rows(3)) for name in ("newer", "older")]

    found = find_previous(bench.recipe, bench.store, runs, train="mine")

    assert found is not None
    assert found.run is runs[0]


def test_a_model_is_not_its_own_rival(bench: Bench) -> None:
    runs = [accepted(bench, name, rows(3)) for name in ("mine", "older")]

    found = find_previous(bench.recipe, bench.store, runs, train="mine")

    assert found is not None
    assert found.run is runs[1]
    assert find_previous(bench.recipe, bench.store, runs[:1], train="mine") is None


def test_its_identity_is_that_of_its_answers(bench: Bench) -> None:
    first, second, same = (
        find_previous(bench.recipe, bench.store, [accepted(bench, name, rows(count))], train="mine")
        for name, count in (("a", 3), ("b", 4), ("c", 3))
    )

    assert first is not None
    assert second is not None
    assert same is not None
    assert first.identity() == same.identity() != second.identity()


def test_answers_to_the_same_rows_are_read(bench: Bench) -> None:
    found = find_previous(
        bench.recipe, bench.store, [accepted(bench, "older", rows(3))], train="mine"
    )

    assert found is not None
    assert found.earlier(rows(3), recipe=bench.recipe) == Earlier(
        answers=rows(3), accepted="2026-11-23"
    )


def test_an_exported_form_is_compared_with_the_earlier_one_where_that_is_known(
    bench: Bench,
) -> None:
    run = accepted(bench, "older", rows(3))
    key = make_key({"test": "older file"})
    answers = [*rows(3)[:2], replace(rows(3)[2], label=None)]

    def build(folder: Path) -> None:
        write_predictions(folder / "predictions.quantized.jsonl", answers)

    bench.store.put("verify", key, build)
    run = replace(run, keys={**run.keys, "verify": key.digest})
    found = find_previous(bench.recipe, bench.store, [run], train="mine")

    assert found is not None
    of_file = found.earlier(rows(3), recipe=bench.recipe, form="quantized")
    assert (of_file.answers, of_file.source) == (answers, "its exported file")
    for form in ("", "onnx"):
        earlier = found.earlier(rows(3), recipe=bench.recipe, form=form)
        assert (earlier.answers, earlier.source) == (rows(3), "")


def test_answers_that_are_gone_cannot_be_compared(bench: Bench) -> None:
    found = find_previous(bench.recipe, bench.store, [accepted(bench, "x", None)], train="mine")

    assert found is not None
    assert found.earlier(rows(3), recipe=bench.recipe).why_not == GONE


@pytest.mark.parametrize(
    ("answers", "shared"), [(rows(2), 2), (rows(4), 3), (rows(3, target="positive"), 0)]
)
def test_answers_to_other_rows_cannot_be_compared(
    bench: Bench, answers: list[Prediction], shared: int
) -> None:
    found = find_previous(
        bench.recipe, bench.store, [accepted(bench, "older", answers)], train="mine"
    )

    assert found is not None
    earlier = found.earlier(rows(3), recipe=bench.recipe)

    assert earlier.answers == ()
    assert f"{shared} of whose {len(answers)} rows" in earlier.why_not


def test_with_folds_the_answers_to_all_rows_count(bench: Bench) -> None:
    recipe = replace(bench.recipe, splits=replace(bench.recipe.splits, folds=5))

    found = find_previous(recipe, bench.store, [accepted(bench, "older", rows(3))], train="mine")

    assert found is not None
    assert found.file == "predictions.folds.jsonl"
    assert found.earlier(rows(3), recipe=bench.recipe).why_not == GONE


def test_nothing_came_before_the_first_model(bench: Bench) -> None:
    assert find_previous(bench.recipe, bench.store, [], train="mine") is None


ROWS = "ab" * 32
"""sha256 of the holdout's rows."""
NIGHT, MORNING = "2026-11-22T23:00:00+00:00", "2026-11-24T08:00:00+00:00"


def answered(wrong: int, *, count: int = 40) -> list[Prediction]:
    """Answers to rows of two classes, so many of which are wrong."""
    labels = ("negative", "positive")
    return [
        Prediction(
            id=f"{n:016x}",
            target=labels[n % 2],
            label=labels[(n + (n < wrong)) % 2],
            text="",
            probability=None,
        )
        for n in range(count)
    ]


def locked(bench: Bench, given: list[Prediction], **changes: Any) -> Accepted:
    """The accepted run of a lock with those answers to the holdout."""
    values = values_of(given, bench.recipe.task)
    facts: dict[str, Any] = {
        "recipe": {"digest": ROWS, "sections": {}, "seed": 7},
        "finished": MORNING,
        "sources": (),
        "rows": 140,
        "fingerprints": None,
        "splits": {"holdout": ROWS},
        "base_model": {"reference": {}, "files": {}},
        "config": ROWS,
        "precision": "fp32",
        "threads": 1,
        "hardware": {},
        "versions": {},
        "verdicts": {"gate": "pass", "verify": "pass"},
        "metrics": {
            name: {"value": round(value, 6), "low": None, "high": None, "n": len(given)}
            for name, value in values.items()
            if name in ("macro_f1", "accuracy", "exact_match", "rouge_l")
        },
        "seeds": (),
        "spread": {},
        "answers": answer_facts(given),
        "predictions": {"holdout": ROWS},
        "adapter": {"adapter/adapter_model.safetensors": ROWS},
        "merged": {},
        "files": {},
    }
    return Accepted(**(facts | changes))


def of_lock(bench: Bench, lock: Accepted, runs: list[AcceptedRun] | None = None) -> Previous:
    found = find_previous(
        bench.recipe, bench.store, runs or [], train="mine", locked=lock, holdout=ROWS
    )
    assert found is not None
    return found


def judged(bench: Bench, lock: Accepted, now: list[Prediction], metric: str = "accuracy") -> Check:
    """The check of a drop of at most 0.1 since the accepted run of a lock."""
    acceptance = replace(
        bench.recipe.acceptance,
        over_previous=(MaxDrop(metric=metric, max_drop=0.1),),
        over_baselines=(),
        decide_on="point",
    )
    recipe = replace(bench.recipe, acceptance=acceptance)
    since = of_lock(bench, lock).earlier(now, recipe=recipe)
    rivals = Rivals(judging=Judging(task=recipe.task, confidence=0.95, seed=7), earlier=since)
    comparisons = compare(now, rivals, acceptance=acceptance, main="accuracy")
    (check,) = judge_previous(comparisons, acceptance, earlier=since)
    return check


@pytest.mark.parametrize(
    ("before", "now", "status", "drop"),
    [(4, 4, Status.PASS, 0.0), (4, 6, Status.PASS, 0.05), (4, 14, Status.FAIL, 0.25)],
)
def test_in_a_fresh_store_the_accepted_run_of_the_lock_is_the_rival(
    before: int, now: int, status: Status, drop: float, bench: Bench
) -> None:
    check = judged(bench, locked(bench, answered(before)), answered(now))

    assert check.status is status
    assert check.got == pytest.approx(drop)
    assert "accepted on 2026-11-24 (the lock), on the same rows" in check.note


def generated(texts: str) -> list[Prediction]:
    return [
        Prediction(id=f"{n:016x}", target="a", label=text, text=text, probability=None)
        for n, text in enumerate(texts)
    ]


UNDECIDED: dict[str, tuple[dict[str, Any], str]] = {
    "another holdout": ({"splits": {"holdout": "cd" * 32}}, "another holdout"),
    "no holdout": ({"splits": {"train": ROWS}}, "no `holdout`"),
    "fewer rows": ({"answers": answer_facts(answered(3, count=39))}, "another holdout"),
    "no base64": (
        {"answers": {"way": "answers", "rows": 40, "entries": "??"}},
        "`answers.entries` are not those",
    ),
    "worse number than its answers": (
        {"metrics": {"accuracy": {"value": 0.5, "low": None, "high": None, "n": 40}}},
        "contradicts itself: `metrics.accuracy` is 0.5, the lock's answers gives 0.9",
    ),
    "refused": ({"verdicts": {"gate": "fail"}}, '`verdicts.gate` is "fail"'),
    "no numbers": ({"metrics": {}}, "`metrics` is empty"),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_the_lock_cannot_tell_leaves_the_check_undecided(name: str, bench: Bench) -> None:
    changes, why = UNDECIDED[name]

    check = judged(bench, locked(bench, answered(4), **changes), answered(4))

    assert check.status is Status.INCONCLUSIVE
    assert "cannot be compared" in check.note
    assert why in check.note


def test_a_lock_with_other_metrics_is_compared_by_its_answers(bench: Bench) -> None:
    lock = locked(bench, answered(4))
    known = {name: fact for name, fact in lock.metrics.items() if name != "accuracy"}

    check = judged(bench, replace(lock, metrics=known), answered(6))

    assert (check.status, check.got) == (Status.PASS, pytest.approx(0.05))


def test_folds_and_probabilities_are_not_in_a_lock(bench: Bench) -> None:
    lock = locked(bench, answered(4))
    splits = replace(bench.recipe.splits, folds=5)
    folded = dataclasses.replace(bench, recipe=replace(bench.recipe, splits=splits))

    assert "with folds every row" in judged(folded, lock, answered(4)).note
    assert "no probabilities" in judged(bench, lock, answered(4), "ece").note


def test_texts_that_no_hash_tells_are_compared_only_by_what_is_right(bench: Bench) -> None:
    task = replace(bench.recipe.task, kind="generation", labels=())
    bench.recipe = replace(bench.recipe, task=task)
    before, now = generated("aaab" * 10), generated("aaca" * 10)
    lock = locked(bench, before)

    right = judged(bench, lock, now, "exact_match")
    wording = judged(bench, lock, now, "rouge_l")

    assert (right.status, right.got) == (Status.PASS, pytest.approx(0.0))
    assert wording.status in (Status.PASS, Status.INCONCLUSIVE)


def run_of(bench: Bench, train: str, answers: list[Prediction], started: str) -> AcceptedRun:
    return replace(accepted(bench, train, answers), started=started)


def predictions_digest(run: AcceptedRun, bench: Bench) -> str:
    artifact = bench.store.get(run.keys["evaluate"])
    assert artifact is not None
    return next(entry.sha256 for entry in artifact.files)


def test_the_run_that_wrote_the_lock_is_known_by_its_answers(bench: Bench) -> None:
    run = run_of(bench, "older", answered(4), NIGHT)
    mine = run_of(bench, "mine", answered(5), NIGHT)
    lock = locked(bench, answered(4), predictions={"holdout": predictions_digest(run, bench)})
    own = replace(lock, predictions={"holdout": predictions_digest(mine, bench)})

    assert of_lock(bench, lock, [run]).run is run
    assert find_previous(bench.recipe, bench.store, [mine], train="mine", locked=own) is None


def test_the_newer_of_lock_and_store_is_the_rival(bench: Bench) -> None:
    lock = locked(bench, answered(4))
    older = run_of(bench, "older", answered(6), NIGHT)
    newer = run_of(bench, "newer", answered(6), "2026-11-25T08:00:00+00:00")

    assert of_lock(bench, lock, [older]).locked is lock
    assert of_lock(bench, lock, [newer, older]).run is newer


def test_its_answers_are_those_of_the_lock_where_the_store_lost_them(bench: Bench) -> None:
    run = run_of(bench, "older", answered(4), NIGHT)
    lock = locked(bench, answered(4), predictions={"holdout": predictions_digest(run, bench)})
    shutil.rmtree(bench.store.folder(run.keys["evaluate"]))

    assert of_lock(bench, lock, [run]).locked is lock
    assert of_lock(bench, lock).identity()["lock"]
    assert of_lock(bench, lock).identity() != of_lock(bench, replace(lock, metrics={})).identity()
    assert of_lock(bench, lock).earlier(answered(4), recipe=bench.recipe).source == LOCK
