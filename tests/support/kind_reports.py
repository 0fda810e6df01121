"""Reports of every kind of task, and of every new refusal. All numbers are made up, as in `sample`."""

from __future__ import annotations

import dataclasses
import json

from engine.evidence import (
    BaselineResult,
    Calibration,
    CalibrationBin,
    CheckpointScore,
    ClassScores,
    Compared,
    Comparison,
    CurvePoint,
    Equivalence,
    Flip,
    ForgettingResult,
    LearningCurve,
    Metric,
    ProbeScores,
    Repeat,
    Report,
    Reproduction,
    Rung,
    Scores,
    Seeds,
    SeedScores,
    SplitLengths,
    Spread,
    StageRecord,
    StageStatus,
    Status,
    SweepResult,
    SweepSetting,
    Verdict,
)
from support import reports as sample
from support.reports import check, interval

LOW_POWER = "With 300 holdout rows a true macro_f1 of 0.88 passes `min 0.80` 97 times in 100."
POWER = (
    LOW_POWER,
    "A true gain under 0.06 over the best baseline would be missed 4 times in 5; 700 rows would do.",
    "Estimates, where the classes stay as they are and only one model is right on 1 in 5 rows (a guess).",
)


def metric(name: str, value: float | None, spread: float = 0.04, n: int = 300) -> Metric:
    if value is None:
        return Metric(name=name, value=None, n=n, undefined="no row has such a value")
    bounds = interval(value - spread, value + spread * 0.9)
    return Metric(name=name, value=value, n=n, interval=bounds)


def named(values: dict[str, float | None], *, spread: float = 0.04, rows: int = 300) -> Scores:
    metrics = tuple(metric(name, value, spread, rows) for name, value in values.items())
    return Scores(rows=rows, metrics=metrics, classes=(), confusion=())


def calibration() -> Calibration:
    counts = (0, 0, 0, 0, 0, 12, 21, 34, 61, 172)
    right = (0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.619, 0.735, 0.836, 0.959)
    bins = tuple(
        CalibrationBin(
            low=at / 10,
            high=(at + 1) / 10,
            rows=rows,
            confidence=(at + 0.62) / 10 if rows else 0.0,
            accuracy=share,
        )
        for at, (rows, share) in enumerate(zip(counts, right, strict=True))
    )
    return Calibration(bins=bins, ece=0.031, brier=0.158)


def comparisons(metric_: str = "macro_f1") -> tuple[Comparison, ...]:
    made = (
        ("majority", 0.561, 0.05, 0.0001, 0.0005),
        ("tfidf_svm", 0.177, 0.058, 0.0002, 0.0006),
        ("zero_shot", 0.41, 0.06, 0.0001, 0.0005),
        ("few_shot", 0.304, 0.06, 0.0001, 0.0005),
        ("previous", 0.012, 0.025, 0.212, 0.212),
    )
    return tuple(
        Comparison(
            name=name,
            metric=metric_,
            difference=value,
            interval=interval(value - spread, value + spread),
            p_value=p,
            p_adjusted=adjusted,
            test="paired bootstrap (10000 resamples)",
            n=300,
            note="accepted 2026-11-20, run 2026-11-20-1b20ff31" if name == "previous" else "",
        )
        for name, value, spread, p, adjusted in made
    )


def agreement(same: int, n: int = 300) -> Metric:
    bounds = interval(same / n - 0.02, min(1.0, same / n + 0.005), "wilson")
    return Metric(name="agreement", value=same / n, n=n, interval=bounds)


def parity(same: int = 300, name: str = "f16") -> Verdict:
    status = Status.PASS if same == 300 else Status.FAIL
    return Verdict(
        status=status,
        checks=(
            check("token_parity", same / 300, 1.0, status, decided_on="point"),
            check("token_parity.training", 1.0, 1.0, Status.PASS, decided_on="point"),
            check(f"parity.{name}", 1.0, 0.98, Status.PASS, decided_on="point"),
        ),
    )


def flips(count: int, target: str = "negative", other: str = "positive") -> tuple[Flip, ...]:
    return tuple(
        Flip(
            id=f"{at * 7919 % 65536:04x}a9e77d2f310c",
            target=target,
            before=target if at % 2 else other,
            after=None if at % 5 == 4 else other if at % 2 else target,
        )
        for at in range(count)
    )


def ladder() -> tuple[Rung, ...]:
    tuned = sample.scores(((132, 17, 0), (14, 137, 0)))
    low = sample.scores(((119, 30, 0), (22, 129, 0)))
    last = sample.scores(((131, 18, 0), (14, 137, 0)))
    dropped = Verdict(
        status=Status.FAIL,
        checks=(
            check(
                "drop.macro_f1",
                0.069,
                0.02,
                Status.FAIL,
                direction="max",
                decided_on="point",
                interval=interval(0.035, 0.104),
                p_value=0.0004,
            ),
            check("agreement", 0.93, 0.95, Status.FAIL, interval=interval(0.895, 0.954, "wilson")),
        ),
    )
    return (
        Rung(name="adapter", scores=tuned, agreement=None, note="as evaluated by the gate"),
        Rung(
            name="merged",
            scores=tuned,
            agreement=agreement(300),
            class_deltas=(("negative", 0.0), ("positive", 0.0)),
            mean_shift=0.0004,
            largest_shift=0.0061,
            verdict=parity(),
        ),
        Rung(
            name="f16",
            scores=tuned,
            agreement=agreement(300),
            class_deltas=(("negative", 0.0), ("positive", 0.0)),
            mean_shift=0.0021,
            largest_shift=0.0187,
            verdict=parity(),
        ),
        Rung(
            name="Q4_0",
            scores=low,
            agreement=agreement(279),
            class_deltas=(("negative", -0.074), ("positive", -0.066)),
            flips=flips(21),
            mean_shift=0.1142,
            largest_shift=1.92,
            verdict=dropped,
            note="importance matrix from the training split",
        ),
        Rung(
            name="Q4_K_M",
            scores=last,
            agreement=agreement(296),
            class_deltas=(("negative", -0.003), ("positive", -0.004)),
            flips=flips(4),
            mean_shift=0.0415,
            largest_shift=0.688,
            verdict=sample.verify(),
            note="compared with f16",
        ),
    )


def probe(name: str, kind: str, n: int, before: float, drop: float) -> ProbeScores:
    return ProbeScores(
        name=name,
        kind=kind,
        n=n,
        before=metric("accuracy", before, 0.03, n),
        after=metric("accuracy", before - drop, 0.03, n),
        drop=Metric(
            name="forgetting", value=drop, n=n, interval=interval(drop - 0.02, drop + 0.02)
        ),
        p_value=0.34 if drop < 0.03 else 0.0004,
        shift=-drop / 4,
    )


def forgetting(*, worst: float = 0.02) -> ForgettingResult:
    return ForgettingResult(
        probes=(
            probe("builtin", "minimal_pairs", 400, 0.74, worst / 2),
            probe("arc", "multiple_choice", 500, 0.412, worst),
            probe("capitals", "cloze", 120, 0.58, -0.008),
        ),
        overall=probe("all", "", 1020, 0.561, worst * 0.7),
    )


def checkpoints(
    name: str = "macro_f1", values: tuple[float, ...] = ()
) -> tuple[CheckpointScore, ...]:
    values = values or (0.714, 0.803, 0.861, 0.884, 0.879)
    return tuple(
        CheckpointScore(
            step=10 * at,
            epoch=0.4 * at,
            loss=1.9 * 0.62**at + 0.19,
            eval_loss=1.5 * 0.6**at + 0.24,
            metric=metric(name, value, 0.05 * max(1.0, value / 4), 100),
        )
        for at, value in enumerate(values, start=1)
    )


def rich() -> Report:
    """An accepted classification with every part of the evidence."""
    report = sample.accepted()
    assert report.holdout
    assert report.gate
    before = report.gate.checks
    checks = tuple(
        dataclasses.replace(item, p_adjusted=0.0006) if item.p_value is not None else item
        for item in before
    )
    more = (
        check(
            "over_previous.macro_f1",
            -0.012,
            0.01,
            Status.PASS,
            direction="max",
            decided_on="point",
            interval=interval(-0.037, 0.013),
            p_value=0.212,
            p_adjusted=0.212,
            note="against the run of 2026-11-20",
        ),
        check(
            "ece",
            0.031,
            0.08,
            Status.PASS,
            direction="max",
            decided_on="upper bound",
            interval=interval(0.018, 0.057),
        ),
        check(
            "forgetting",
            0.014,
            0.05,
            Status.PASS,
            direction="max",
            decided_on="upper bound",
            n=1020,
            interval=interval(-0.006, 0.034),
            p_value=0.34,
        ),
    )
    tuned = dataclasses.replace(
        report.holdout,
        calibration=calibration(),
        metrics=(
            *report.holdout.metrics,
            metric("balanced_accuracy", 0.893),
            metric("mcc", 0.787, 0.07),
            metric("ece", 0.031, 0.015),
            metric("brier", 0.158, 0.03),
            metric("abstention", 0.0, 0.0),
        ),
    )
    return dataclasses.replace(
        report,
        holdout=tuned,
        baselines=(*report.baselines, served()),
        gate=Verdict(status=Status.PASS, checks=(*checks, *more)),
        verify=with_speed(report.verify),
        comparisons=comparisons(),
        ladder=ladder(),
        forgetting=forgetting(),
        checkpoints=checkpoints(),
        power=POWER,
    )


def served() -> BaselineResult:
    """A baseline that a server answered, and what that cost."""
    return BaselineResult(
        name="served",
        scores=sample.scores(((120, 29, 0), (31, 120, 0))),
        passes=False,
        seconds=212.0,
        note="qwen at http://localhost:8000/v1, 0 shots; 61,204 tokens in, 900 out, cost 0.0065",
    )


def with_speed(verdict: Verdict | None) -> Verdict:
    bounds = (
        ("file_megabytes", 105.5, 120.0, "max"),
        ("tokens_per_second", 218.4, 20.0, "min"),
        ("first_token_milliseconds", 38.25, 500.0, "max"),
        ("peak_memory_megabytes", 412.0, 800.0, "max"),
    )
    checks = verdict.checks if verdict else ()
    more = tuple(
        check(name, got, bound, Status.PASS, direction=way, decided_on="point", n=20)
        for name, got, bound, way in bounds
    )
    return Verdict(status=Status.PASS, checks=(*checks, *more))


def without_labels(report: Report, name: str, told: str, task: dict[str, object]) -> Report:
    """The same run of another kind: nothing of the classification is left."""
    assert report.data
    splits = tuple(dataclasses.replace(split, labels={}) for split in report.data.splits)
    shown = {"instruction": "", "output": "text", "answer_pattern": "", **task}
    text = f"recipe: v1\nname: {name}\ntask:\n  kind: {shown['kind']}\n"
    return dataclasses.replace(
        report,
        recipe_name=name,
        description=told,
        next_steps=(f'recipe try {name} "…"',),
        labels=(),
        task=shown,
        data=dataclasses.replace(report.data, splits=splits),
        recipe_text=text,
        resolved_recipe=text,
        flips=(),
        agreement=None,
        ladder=(),
        comparisons=(),
        checkpoints=(),
        free=None,
    )


def rows_of(values: dict[str, tuple[float | None, ...]], at: int, spread: float) -> Scores:
    return named({name: value[at] for name, value in values.items()}, spread=spread)


def judged(
    report: Report,
    names: tuple[str, ...],
    values: dict[str, tuple[float | None, ...]],
    spread: float,
) -> Report:
    """Baselines, then train, validation, holdout and file, by position in `values`."""
    found = [rows_of(values, at, spread) for at in range(len(names) + 4)]
    first = len(names)
    baselines = tuple(
        BaselineResult(name=name, scores=found[at], passes=False, seconds=12.5 * at, note="")
        for at, name in enumerate(names)
    )
    return dataclasses.replace(
        report,
        baselines=baselines,
        train_scores=found[first],
        validation_scores=found[first + 1],
        holdout=found[first + 2],
        quantized=found[first + 3],
    )


FIELDS = ("name", "date", "party_size", "items.name", "items.quantity")


def field_scores(shift: float = 0.0) -> tuple[ClassScores, ...]:
    made = (
        (0.96, 0.94, 300),
        (0.91, 0.88, 281),
        (0.98, 0.97, 300),
        (0.83, 0.76, 644),
        (0.88, 0.8, 590),
    )
    return tuple(
        ClassScores(
            label=name,
            precision=p - shift,
            recall=r - shift,
            f1=2 * (p - shift) * (r - shift) / (p + r - 2 * shift),
            support=rows,
            predicted=round(rows * r / p),
        )
        for name, (p, r, rows) in zip(FIELDS, made, strict=True)
    )


def renamed(verdict: Verdict | None, old: str, new: str) -> Verdict:
    assert verdict
    checks = tuple(dataclasses.replace(x, name=x.name.replace(old, new)) for x in verdict.checks)
    return Verdict(status=verdict.status, checks=checks)


def extraction() -> Report:
    """Accepted; fields instead of labels, and answers that are JSON."""
    told = "Read restaurant bookings out of messages."
    task: dict[str, object] = {
        "kind": "extraction",
        "instruction": "Extract the booking.",
        "output": "json",
    }
    report = without_labels(rich(), "made-up-bookings", told, task)
    values: dict[str, tuple[float | None, ...]] = {
        "exact_match": (0.07, 0.22, 0.91, 0.73, 0.712, 0.706),
        "field_precision": (0.51, 0.66, 0.97, 0.91, 0.902, 0.899),
        "field_recall": (0.32, 0.58, 0.96, 0.87, 0.861, 0.857),
        "field_f1": (0.393, 0.617, 0.965, 0.889, 0.881, 0.877),
        "macro_field_f1": (0.41, 0.63, 0.97, 0.9, 0.893, 0.89),
    }
    report = judged(report, ("zero_shot", "retrieved_few_shot"), values, 0.03)
    assert report.holdout
    f1 = tuple(metric(f"f1.{item.label}", item.f1, 0.04, item.support) for item in field_scores())
    tuned = dataclasses.replace(
        report.holdout, classes=field_scores(), metrics=(*report.holdout.metrics, *f1)
    )
    free = named(
        {"valid_output": 0.993, "schema_validity": 0.99, "type_errors": 0.003}, spread=0.008
    )
    before = json.dumps(
        {"name": "Ada", "party_size": 4, "items": [{"name": "soup", "quantity": 2}]}
    )
    rungs = tuple(
        Rung(
            name=name,
            scores=tuned if name != "Q4_K_M" else report.quantized or tuned,
            agreement=None if name == "adapter" else agreement(same),
            class_deltas=tuple(
                (field, -0.004 * (name == "Q4_K_M") * at) for at, field in enumerate(FIELDS)
            ),
            flips=flips(300 - same, before, before.replace("4", "14")),
            mean_shift=0.003 if same < 300 else None,
            verdict=parity() if name != "Q4_K_M" else renamed(report.verify, "macro", "field"),
        )
        for name, same in (("adapter", 300), ("merged", 300), ("f16", 300), ("Q4_K_M", 293))
    )
    return dataclasses.replace(
        report,
        holdout=tuned,
        free=free,
        verify=renamed(report.verify, "macro", "field"),
        ladder=rungs,
        comparisons=tuple(
            dataclasses.replace(item, name=name)
            for item, name in zip(
                comparisons("field_f1")[1:3], ("retrieved_few_shot", "zero_shot"), strict=True
            )
        ),
        checkpoints=checkpoints("field_f1"),
        gate=Verdict(
            status=Status.PASS,
            checks=(
                check("field_f1", 0.881, 0.8, Status.PASS, interval=interval(0.851, 0.908)),
                check(
                    "f1.items.name", 0.793, 0.7, Status.PASS, interval=interval(0.753, 0.829), n=644
                ),
                check(
                    "schema_validity",
                    0.99,
                    0.97,
                    Status.PASS,
                    interval=interval(0.971, 0.997, "wilson"),
                ),
                check(
                    "type_errors",
                    0.003,
                    0.02,
                    Status.PASS,
                    direction="max",
                    decided_on="upper bound",
                    interval=interval(0.001, 0.019, "wilson"),
                ),
            ),
        ),
    )


def multilabel() -> Report:
    """Refused; sets of labels, of which one has too few rows to tell."""
    labels = ("billing", "bug", "how_to", "outage")
    told = "Every topic that a ticket is about."
    task: dict[str, object] = {
        "kind": "multilabel",
        "labels": list(labels),
        "instruction": "Name {labels}.",
    }
    report = without_labels(rich(), "made-up-topics", told, task)
    values: dict[str, tuple[float | None, ...]] = {
        "accuracy": (0.11, 0.41, 0.9, 0.71, 0.683, None),
        "macro_f1": (0.21, 0.63, 0.95, 0.8, 0.774, None),
        "micro_f1": (0.33, 0.7, 0.96, 0.84, 0.829, None),
        "weighted_f1": (0.3, 0.69, 0.95, 0.83, 0.821, None),
        "hamming_loss": (0.41, 0.19, 0.02, 0.09, 0.094, None),
    }
    report = judged(report, ("majority", "tfidf_svm"), values, 0.04)
    assert report.holdout
    classes = tuple(
        ClassScores(
            label=label, precision=p, recall=r, f1=2 * p * r / (p + r), support=n, predicted=n
        )
        for label, p, r, n in (
            ("billing", 0.9, 0.87, 121),
            ("bug", 0.84, 0.81, 98),
            ("how_to", 0.8, 0.79, 84),
            ("outage", 0.62, 0.53, 9),
        )
    )
    f1 = tuple(
        metric(f"f1.{x.label}", x.f1, 0.05 if x.support > 20 else 0.24, x.support) for x in classes
    )
    few = check(
        "f1.outage",
        0.571,
        0.5,
        Status.INCONCLUSIVE,
        n=9,
        interval=interval(0.331, 0.787),
        note="9 rows cannot tell; about 60 of that label would decide it (an estimate)",
    )
    return dataclasses.replace(
        report,
        labels=labels,
        outcome="inconclusive",
        summary="The holdout is too small to decide: f1.outage stands on 9 rows.",
        next_steps=(
            "`outage` has only 9 holdout rows: its scores are loose",
            "recipe report made-up-topics",
        ),
        holdout=dataclasses.replace(
            report.holdout,
            classes=classes,
            metrics=(*report.holdout.metrics, *f1),
            calibration=calibration(),
        ),
        gate=Verdict(
            status=Status.INCONCLUSIVE,
            checks=(
                check("macro_f1", 0.774, 0.7, Status.PASS, interval=interval(0.734, 0.81)),
                check(
                    "hamming_loss",
                    0.094,
                    0.15,
                    Status.PASS,
                    direction="max",
                    decided_on="upper bound",
                    interval=interval(0.078, 0.113),
                ),
                few,
            ),
        ),
        verify=None,
        quantized=None,
        files=(),
        stages=sample.stages(**skipped("merge", "gate could not decide")),
        comparisons=tuple(item for item in comparisons() if item.name in ("majority", "tfidf_svm")),
        power=(
            "`f1.outage` stands on 9 rows: no model could pass `min 0.50` for sure (an estimate).",
        ),
    )


def skipped(first: str, reason: str) -> dict[str, StageRecord]:
    after = sample.STAGES[sample.STAGES.index(first) : -1]
    return {
        name: StageRecord(
            stage=name, status=StageStatus.SKIPPED, key="", reason=reason, seconds=0.0
        )
        for name in after
    }


def generation() -> Report:
    """Refused: sums that a small model cannot do; the answer is what a pattern finds."""
    told = "Word problems with a number at the end."
    task: dict[str, object] = {
        "kind": "generation",
        "instruction": "Solve it step by step.",
        "answer_pattern": "#### (-?[0-9.,]+)",
    }
    report = without_labels(rich(), "made-up-sums", told, task)
    values: dict[str, tuple[float | None, ...]] = {
        "exact_match": (0.0, 0.0, 0.02, 0.0, 0.0, None),
        "normalised_match": (0.0, 0.0, 0.02, 0.0, 0.0, None),
        "answer_match": (0.01, 0.013, 0.11, 0.04, 0.037, None),
        "numeric_match": (0.01, 0.013, 0.12, 0.04, 0.04, None),
        "rouge_1": (0.31, 0.34, 0.61, 0.52, 0.519, None),
        "rouge_2": (0.11, 0.14, 0.35, 0.27, 0.266, None),
        "rouge_l": (0.24, 0.27, 0.5, 0.42, 0.421, None),
        "chrf": (0.29, 0.3, 0.48, 0.41, 0.407, None),
        "bleu": (0.05, 0.07, 0.21, 0.16, 0.157, None),
        "valid_output": (1.0, 1.0, 1.0, 0.99, 0.993, None),
    }
    report = judged(report, ("zero_shot", "few_shot"), values, 0.012)
    failed = check(
        "answer_match",
        0.037,
        0.3,
        Status.FAIL,
        interval=interval(0.021, 0.065, "wilson"),
        note="0.263 below the bound",
    )
    return dataclasses.replace(
        report,
        outcome="refused",
        summary="made-up-sums is not good enough to ship: refused by gate",
        next_steps=("the model is right on 11 of 300 rows", "recipe report made-up-sums"),
        gate=Verdict(
            status=Status.FAIL,
            checks=(
                failed,
                check("rouge_l", 0.421, 0.4, Status.INCONCLUSIVE, interval=interval(0.397, 0.44)),
                check(
                    "over_baselines.answer_match",
                    0.024,
                    0.05,
                    Status.FAIL,
                    interval=interval(0.002, 0.047),
                    p_value=0.039,
                    p_adjusted=0.078,
                    note="against few_shot, paired on 300 rows",
                ),
            ),
        ),
        verify=None,
        quantized=None,
        files=(),
        forgetting=None,
        stages=sample.stages(**skipped("merge", "refused by gate")),
        comparisons=(
            Comparison(
                name="few_shot",
                metric="answer_match",
                difference=0.024,
                interval=interval(0.002, 0.047),
                p_value=0.039,
                p_adjusted=0.078,
                test="McNemar, exact",
                n=300,
            ),
        ),
        power=("With 300 rows a true answer_match of 0.38 passes `min 0.30` 8 times in 10.",),
    )


def chat() -> Report:
    """Accepted: conversations, judged by how likely their answers are; less is better."""
    told = "Answers in the tone of the help desk."
    report = without_labels(rich(), "made-up-desk", told, {"kind": "chat"})
    values: dict[str, tuple[float | None, ...]] = {
        "perplexity": (14.21, 11.87, 4.02, 5.61, 5.77, 5.81),
        "bits_per_byte": (1.214, 1.132, 0.642, 0.781, 0.793, 0.796),
    }
    report = judged(report, ("zero_shot", "few_shot"), values, 0.03)
    tuned, file = report.holdout, report.quantized
    assert tuned
    assert file
    rungs = tuple(
        Rung(
            name=name,
            scores=file if name == "Q4_K_M" else tuned,
            agreement=None,
            mean_shift=None if name == "adapter" else shift,
            largest_shift=None if name == "adapter" else shift * 12,
            verdict=None if name == "adapter" else parity(),
        )
        for name, shift in (
            ("adapter", 0.0),
            ("merged", 0.0004),
            ("f16", 0.002),
            ("Q4_K_M", 0.0391),
        )
    )
    return dataclasses.replace(
        report,
        ladder=rungs,
        checkpoints=checkpoints("bits_per_byte", (1.02, 0.88, 0.81, 0.781, 0.786)),
        comparisons=tuple(
            dataclasses.replace(item, metric="bits_per_byte")
            for item in comparisons()
            if item.name in ("zero_shot", "few_shot", "previous")
        ),
        gate=Verdict(
            status=Status.PASS,
            checks=(
                check(
                    "bits_per_byte",
                    0.793,
                    0.9,
                    Status.PASS,
                    direction="max",
                    decided_on="upper bound",
                    interval=interval(0.763, 0.82),
                ),
                check(
                    "perplexity",
                    5.77,
                    7.0,
                    Status.PASS,
                    direction="max",
                    decided_on="upper bound",
                    interval=interval(5.41, 6.12),
                ),
            ),
        ),
        verify=with_speed(
            Verdict(
                status=Status.PASS,
                checks=(
                    check(
                        "drop.bits_per_byte",
                        0.003,
                        0.02,
                        Status.PASS,
                        direction="max",
                        decided_on="point",
                        interval=interval(0.001, 0.005),
                    ),
                ),
            )
        ),
    )


def refused_by_the_ladder() -> Report:
    """The last quantization of the list changes too much as well."""
    report = rich()
    rungs = report.ladder[:4]
    broken = rungs[-1].verdict
    assert broken
    return dataclasses.replace(
        report,
        outcome="refused",
        summary="made-up-sentiment is not good enough to ship: refused by verify",
        next_steps=(
            "agreement: a quantization with more bits, such as Q8_0, changes fewer answers",
        ),
        ladder=rungs,
        verify=broken,
        quantized=rungs[-1].scores,
        agreement=0.93,
    )


def refused_by_forgetting() -> Report:
    """Good at its task, and worse at everything else."""
    report = rich()
    assert report.gate
    lost = check(
        "forgetting",
        0.112,
        0.05,
        Status.FAIL,
        direction="max",
        decided_on="upper bound",
        n=1020,
        interval=interval(0.092, 0.132),
        p_value=0.0004,
    )
    kept = tuple(item for item in report.gate.checks if item.name != "forgetting")
    return dataclasses.replace(
        report,
        outcome="refused",
        summary="made-up-sentiment is not good enough to ship: refused by gate",
        next_steps=(
            "forgetting: a lower learning rate or fewer epochs",
            "recipe report made-up-sentiment",
        ),
        gate=Verdict(status=Status.FAIL, checks=(*kept, lost)),
        forgetting=forgetting(worst=0.16),
        verify=None,
        quantized=None,
        agreement=None,
        flips=(),
        files=(),
        ladder=(),
        stages=sample.stages(**skipped("merge", "refused by gate")),
    )


def repeated() -> Report:
    """A run with a sweep, seeds, folds, learning curves, rows left out for their length, and a lock beside it."""
    report = rich()
    assert report.holdout
    tuned = report.holdout
    points = [
        (share, metric("macro_f1", value)) for share, value in ((0.25, 0.6), (0.5, 0.8), (1.0, 0.9))
    ]
    curves = tuple(
        LearningCurve(
            model=model,
            judged_on="validation",
            points=tuple(
                CurvePoint(
                    share=share,
                    rows=int(400 * share),
                    scores=dataclasses.replace(tuned, metrics=(value, *tuned.metrics[1:])),
                )
                for share, value in points
            ),
            rising=True,
            rising_classes=(),
            message="it still gains: +0.100 macro-F1",
        )
        for model in ("tfidf_svm", "tuned")
    )
    settings = tuple(
        SweepSetting(
            values={"rank": rank, "learning_rate": 5e-4},
            metric=metric("macro_f1", value),
            validation_loss=0.3,
            trainable_parameters=300_000 * rank,
            steps=50,
            seconds=60.0 + rank,
            behind=None if rank == 16 else metric("macro_f1", 0.897 - value, spread=0.01),
        )
        for rank, value in ((4, 0.842), (8, 0.893), (16, 0.897))
    )
    runs = tuple(
        SeedScores(
            seed=seed,
            metrics=(metric("macro_f1", value), metric("accuracy", value)),
            agreement=None if seed == 7 else agreement(290),
        )
        for seed, value in ((7, 0.897), (8, 0.889), (9, 0.901))
    )
    spread = tuple(
        Spread(metric=name, mean=0.8957, deviation=0.0061, low=0.889, high=0.901)
        for name in ("macro_f1", "accuracy")
    )
    same = Equivalence(
        metric="macro_f1",
        locked=0.897,
        found=0.889,
        interval=interval(-0.02, 0.004),
        margin=0.03,
        margin_from="twice the deviation of the seeds in the lock",
        holds=True,
    )
    return dataclasses.replace(
        report,
        folds=tuned,
        learning_curves=curves,
        sweep=SweepResult(metric="macro_f1", rows=100, chosen=2, settings=settings),
        seeds=Seeds(runs=runs, spread=spread),
        reproduction=Reproduction(
            verdict=Repeat.WITHIN_NOISE,
            summary="reproduced within noise: the hardware differs, every metric is the same but for noise",
            first_difference="hardware: other threads",
            reused=("data",),
            compared=(
                Compared(part="data", name="train.csv", equal=True, locked="3f1a", found="3f1a"),
                Compared(part="threads", name="threads", equal=False, locked="2", found="8"),
            ),
            equivalence=(same,),
            agreement=agreement(290),
            agreement_required=0.95,
            agreement_from="the seeds in the lock",
        ),
        lengths=(
            SplitLengths(
                split="train", given=400, used=397, left_out=2, left_out_marked=1, cut=3, longest=512,
                max_length=512, over_max_length=0, window=2048, over_window=0,
            ),
        ),
    )  # fmt: skip
