"""The verdict of a run that repeats a lock: exactly, within noise, or not, and what differed first."""

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime

from engine.errors import EngineError, listed
from engine.evidence import (
    Equivalence,
    FactComparison,
    Repeat,
    Reproduction,
    StageRecord,
    StageStatus,
)
from engine.lock import accepted_run
from engine.lock.coherence import (
    OF_PROBABILITIES,
    LockedAnswers,
    contradicted_by_answers,
    contradictions_of_recipe,
    match_answers,
)
from engine.lock.comparison import (
    NUMBERS,
    SAME_ROWS,
    SURROUNDINGS,
    UNRECORDED,
    UNREPEATED,
    compared,
)
from engine.lock.file import Accepted
from engine.metrics import equivalence
from engine.metrics.predictions import Prediction
from engine.recipe.metrics import FREE, LIKELIHOODS, primary
from engine.recipe.model import Recipe
from engine.store import Artifact
from engine.values import Value, bounds, decimal, replace

Artifacts = Mapping[str, Artifact]
MAKERS = ("train", "merge", "quantize")
WRONG_INPUT = {"D387": "data", "D388": "base model"}
"""Codes that stop a run early, and the input that they are about."""
FEW = 5
NEAR_PROBABILITIES = 1e-3
"""Largest relative difference of a metric of probabilities that the same model computes again."""
UNFINISHED = {
    "stopped": "the run was stopped as asked",
    "failed": "the run could not finish",
    "interrupted": "the run was interrupted",
    "baseline_passes": "a baseline passes, so nothing was trained",
    "not_reviewed": "people have not reviewed enough synthetic rows, so nothing was trained",
    "nothing_added": "no row of the teacher or writer remains, so nothing was trained",
    "teacher_no_better": "the teacher is no better than a cheap baseline, so nothing was trained",
}


class RepeatedRun(Value):
    recipe: Recipe
    accepted: Accepted
    artifacts: Artifacts
    records: Sequence[StageRecord]
    outcome: str
    error: EngineError | None
    originals: Container[str] = ()
    """Keys of results that earlier runs of this user made without repeating a lock."""


def another_recipe(changed: Sequence[str]) -> Reproduction:
    sections = listed(changed)
    return Reproduction(
        verdict=Repeat.OTHER_RECIPE,
        summary=f"the lock proves another recipe ({sections} changed since): nothing is compared",
        first_difference=f"recipe: {sections}",
    )


def reproduction_of(run: RepeatedRun) -> Reproduction:
    for problem in run.error.problems if run.error else ():
        if part := WRONG_INPUT.get(problem.code):
            # D388 is about both, since the tokenizer's files are among the base model's
            part = "tokenizer" if problem.message.startswith("the tokenizer") else part
            return Reproduction(
                verdict=Repeat.NOT,
                summary=f"not reproduced: {problem.message}",
                first_difference=f"{part}: {problem.message}",
            )
    facts = compared(run.recipe, run.accepted, run.artifacts)
    first = next((f"{fact.part}: {_change(fact)}" for fact in facts if not fact.equal), "")
    wrong_lock = _contradictions(run)
    repeat = Reproduction(
        verdict=Repeat.UNFINISHED,
        summary="; ".join(
            [f"not compared to the end: {UNFINISHED.get(run.outcome, run.outcome)}", *wrong_lock]
        ),
        first_difference=first,
        compared=facts,
        reused=reused_stages(run),
    )
    # other outcomes have no verdict
    if run.outcome not in ("accepted", "refused", "inconclusive"):
        return repeat
    if wrong_lock:
        return _not(repeat, wrong_lock[0])
    # nothing was computed, so nothing was shown; but a false fact of the very model is still named
    locked, now = run.accepted, accepted_run.model_digests(run.artifacts)
    parts = ("adapter", "merged", "files")
    is_same = bool(locked.adapter) and all(getattr(locked, part) == now[part] for part in parts)
    if repeat.reused and not (is_same and _untrue(repeat)):
        files = f"the results of {', '.join(repeat.reused)} come from the store"
        same = "they have the digests of the lock" if is_same else "they are not the lock's"
        summary = f"reused, not reproduced: {files}, where nothing was computed anew; {same}"
        return replace(repeat, verdict=Repeat.REUSED, summary=summary)
    if run.outcome != "accepted":
        return _not(repeat, f"the run is {run.outcome}, the lock's was accepted; {_first(first)}")
    return _with_same_model(repeat, run) if is_same else _by_its_numbers(repeat, run)


def _contradictions(run: RepeatedRun) -> list[str]:
    wrong = list(contradictions_of_recipe(run.recipe, run.accepted))
    if not wrong and {"evaluate", "data"} <= run.artifacts.keys():
        # the answers of the lock are to the rows of its own holdout
        rows = accepted_run.split_digests(run.artifacts["data"])
        if rows.get("holdout") == run.accepted.splits.get("holdout"):
            answers = accepted_run.holdout_answers(run.artifacts)
            before = match_answers(run.accepted.answers, answers, run.recipe.task)
            if before is not None and not before.unknown:
                by_metric = contradicted_by_answers(run.accepted, before, run.recipe)
                wrong = list(filter(None, by_metric.values()))
    return [f"the lock contradicts itself: {_few(wrong)}"] if wrong else []


def _with_same_model(repeat: Reproduction, run: RepeatedRun) -> Reproduction:
    is_full = any(name.startswith("model/") for name in run.accepted.adapter)
    exported = [name for name in run.accepted.files if name.endswith(".gguf")]
    named = listed(["trained model" if is_full else "adapter", "merged model", *exported])
    same_files = f"{named} have the digests of the lock"
    differing = [fact for fact in repeat.compared if not fact.equal]
    if not differing:
        return replace(repeat, verdict=Repeat.EXACT, summary=f"reproduced exactly: {same_files}")
    if untrue := _untrue(repeat):
        return _not(repeat, f"{same_files}, and of its other facts {_few(untrue)}")
    changes = _few([f"{fact.part}: {_change(fact)}" for fact in differing])
    if all(fact.part in (*SURROUNDINGS, "config") or _is_open(fact) for fact in differing):
        summary = f"{Repeat.WITHIN_NOISE.value}: {same_files}; other facts differ: {changes}"
        return replace(repeat, verdict=Repeat.WITHIN_NOISE, summary=summary)
    tested = _by_its_numbers(repeat, run)
    return replace(tested, summary=f"{tested.summary}; {same_files}, other facts differ: {changes}")


def _untrue(repeat: Reproduction) -> list[str]:
    """Return the facts of a lock that cannot be true where this run made its very model.

    Answers computed again may differ in a few bits, and so may numbers that follow from them; numbers that follow from
    the same answers may not. Another config is explained by other tools.
    """
    differing = _false(repeat)
    is_elsewhere = any(fact.part in SURROUNDINGS for fact in differing)
    other_answers = any(fact.name == "answers" for fact in differing)
    return [
        _in_words(fact)
        for fact in differing
        if fact.part not in SURROUNDINGS
        and not (fact.part == "config" and is_elsewhere)
        and not _can_be_noise(fact, other_answers=other_answers)
    ]


def _false(repeat: Reproduction) -> list[FactComparison]:
    return [fact for fact in repeat.compared if not fact.equal and not _is_open(fact)]


def _in_words(fact: FactComparison) -> str:
    return f"{fact.name} is {fact.locked} in the lock and {fact.found} here"


def _is_open(fact: FactComparison) -> bool:
    """Return whether a fact is neither false nor true: one side lacks it, or other bytes hold the same rows."""
    return fact.locked == UNRECORDED or fact.found == UNREPEATED or fact.found.endswith(SAME_ROWS)


def _can_be_noise(fact: FactComparison, *, other_answers: bool) -> bool:
    if fact.name == "answers" or fact.name.startswith("answers of "):
        return True
    if fact.name.removeprefix("interval of ") in (*OF_PROBABILITIES, *LIKELIHOODS):
        try:
            texts = (fact.locked, fact.found)
            sides = [[float(part) for part in side.split(" to ")] for side in texts]
        except ValueError:
            return False
        pairs = zip(*sides, strict=False)
        return all(abs(a - b) <= NEAR_PROBABILITIES * max(1.0, abs(a)) for a, b in pairs)
    is_measured = fact.part == NUMBERS and not fact.name.startswith(("verdict of ", "rows of "))
    return is_measured and other_answers


def _not(found: Reproduction, why: str) -> Reproduction:
    return replace(found, verdict=Repeat.NOT, summary=f"not reproduced: {why}")


def _few(facts: Sequence[str]) -> str:
    more = len(facts) - FEW
    return "; ".join([*facts[:FEW], *([f"and {more} more"] if more > 0 else [])])


def reused_stages(run: RepeatedRun) -> tuple[str, ...]:
    """Return the stages whose files were computed before the lock, or elsewhere: only later ones repeat it.

    Results of runs that repeated nothing are from before it, whatever its date.
    """
    finished = datetime.fromisoformat(run.accepted.finished)
    return tuple(
        record.stage
        for record in run.records
        if record.stage in MAKERS
        and record.status is StageStatus.REUSED
        and (
            record.key in run.originals
            or run.artifacts[record.stage].taken_from
            or datetime.fromisoformat(run.artifacts[record.stage].created) <= finished
        )
    )


def _change(fact: FactComparison) -> str:
    return f"{fact.name} {fact.locked} -> {fact.found}"


def _first(first: str) -> str:
    return f"differs first: {first}" if first else "no input differs"


def _by_its_numbers(found: Reproduction, run: RepeatedRun) -> Reproduction:
    """Test whether the numbers are the same but for noise, of which the same inputs on one CPU have none."""
    differing = _false(found)
    is_cpu = run.accepted.hardware.get("device") == "cpu"
    if differing and is_cpu and all(fact.part == NUMBERS for fact in differing):
        same = "on a CPU the same inputs, tools and machine give the same files and answers"
        return _not(found, f"{same}, and {_few(list(map(_in_words, differing)))}")
    answers = accepted_run.holdout_answers(run.artifacts)
    # the test is paired: the lock's answers must be to the very rows of this run
    before = match_answers(run.accepted.answers, answers, run.recipe.task)
    if before is None:
        first = _first(found.first_difference)
        return _not(found, f"the holdout has other rows than the lock's; {first}")
    tests = tuple(_tests(run, answers, before))
    same_answers = equivalence.agreement_metric(before.same) if before.same else None
    bound, origin = equivalence.agreement_bound(run.accepted.seeds)
    agrees = equivalence.agrees(same_answers, bound)
    # without a single test nothing was shown
    holds = bool(tests) and all(test.holds for test in tests) and agrees
    verdict = Repeat.WITHIN_NOISE if holds else Repeat.NOT
    results = [*map(_test_text, tests)]
    if same_answers is not None:
        equal, n = round((same_answers.value or 0.0) * same_answers.n), same_answers.n
        text = f"{equal} of {n} answers are the same"
        results.append(text if agrees else f"{text}, at least {bound:.1%} were expected")
    return replace(
        found,
        verdict=verdict,
        summary=f"{verdict.value}: {'; '.join(results)}; {_first(found.first_difference)}",
        equivalence=tests,
        agreement=same_answers,
        agreement_required=bound if same_answers else None,
        agreement_from=origin if same_answers else "",
    )


def _tests(
    run: RepeatedRun, answers: Sequence[Prediction], before: LockedAnswers
) -> Iterator[Equivalence]:
    """Yield a test of the kind's main metric, and of each bounded metric that follows from the answers."""
    recipe, locked = run.recipe, run.accepted
    main = primary(recipe.task.kind, answer_pattern=recipe.task.answer_pattern)
    bounded = [bound.metric for bound in recipe.acceptance.metrics]
    metrics = accepted_run.holdout_metrics(run.artifacts)
    for name in dict.fromkeys((main, *bounded)):
        now, then = metrics.get(name), locked.metrics.get(name)
        if name in (*FREE, *OF_PROBABILITIES) or now is None or then is None:
            continue
        if now.value is None or then["value"] is None:
            continue
        is_hidden = bool(before.unknown) and not before.same
        # unknown answers bound nothing but a share of rows
        if is_hidden and name != main:
            continue
        # how far two trainings may differ: from further seeds, else from the interval on the holdout
        margin = equivalence.margin_of(
            then,
            locked.spread.get(name),
            seeds=len(locked.seeds) + 1,
            rows=len(answers),
            interval=now.interval,
        )
        asked = equivalence.MetricPair(
            metric=name,
            locked=float(then["value"]),
            # rounded as the lock's number is: otherwise the two would differ by the rounding
            found=round(now.value, accepted_run.ROUND),
            margin=margin,
            task=recipe.task,
            seed=recipe.splits.seed,
        )
        differ = before.unknown if is_hidden else sum(not one for one in before.same)
        yield equivalence.equivalence(asked, answers, before.predictions, differing=differ)


def _test_text(test: Equivalence) -> str:
    interval, margin = test.interval, test.margin
    values = f"{test.metric} {decimal(test.found)}, in the lock {decimal(test.locked)}"
    if interval is None or margin is None:
        return f"{values}, and nothing says how large the noise is ({test.margin_from})"
    how = "within" if test.holds else "not within"
    spread = bounds(interval.low, interval.high)
    return f"{values}: the difference {spread} is {how} ±{margin:.3f}"
