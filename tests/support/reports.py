"""Reports for tests of rendering. Every number here is made up and stands for nothing measured."""

from __future__ import annotations

import dataclasses
import math

from engine.evidence import (
    BaselineResult,
    Check,
    ClassScores,
    DataFinding,
    DataSummary,
    ExportedFile,
    Firewall,
    HistoryPoint,
    HoldoutUse,
    Interval,
    Metric,
    Recorded,
    Report,
    Scores,
    SourceSummary,
    SplitSummary,
    StageCost,
    StageRecord,
    StageStatus,
    Status,
    TrainingSummary,
    Verdict,
)

LABELS = ("negative", "positive")
STAGES = (
    "data",
    "baseline",
    "compile",
    "train",
    "evaluate",
    "gate",
    "merge",
    "quantize",
    "verify",
    "report",
)

RECIPE_TEXT = """\
recipe: v1
name: made-up-sentiment
description: A report made by hand for tests; no model stands behind it.

task:
  kind: classification
  instruction: Is this review snippet positive or negative?
  labels: [negative, positive]

base_model:
  path: ../models/made-up

data:
  sources:
    - path: reviews.csv
  label: {column: rating}

acceptance:
  metrics:
    macro_f1: {min: 0.80}
    f1.negative: {min: 0.75}
    valid_output: {min: 0.98}
  over_baselines: {macro_f1: {min_gain: 0.05}}
"""

BACKEND_CONFIG = """\
base_model: base_model
datasets:
  - path: train.jsonl
    type: input_output
adapter: lora
lora_r: 16
learning_rate: 0.0005
num_epochs: 2
"""


def interval(low: float, high: float, method: str = "bootstrap (2000 resamples)") -> Interval:
    return Interval(low=low, high=high, confidence=0.95, method=method)


def scores(
    confusion: tuple[tuple[int, ...], ...],
    labels: tuple[str, ...] = LABELS,
    *,
    spread: float = 0.036,
) -> Scores:
    """Scores whose numbers follow from the confusion; intervals have a made-up width."""
    rows = sum(map(sum, confusion))
    classes = []
    for index, label in enumerate(labels):
        hit = confusion[index][index]
        support = sum(confusion[index])
        predicted = sum(row[index] for row in confusion)
        precision = hit / predicted if predicted else None
        recall = hit / support if support else None
        f1 = 2 * hit / (support + predicted) if support else None
        classes.append(
            ClassScores(
                label=label,
                precision=precision,
                recall=recall,
                f1=f1,
                support=support,
                predicted=predicted,
            )
        )
    values = {
        "accuracy": sum(confusion[index][index] for index in range(len(labels))) / rows,
        "macro_precision": _mean([item.precision for item in classes]),
        "macro_recall": _mean([item.recall for item in classes]),
        "macro_f1": _mean([item.f1 for item in classes]),
        "valid_output": 1 - sum(row[-1] for row in confusion) / rows,
    }
    metrics = [_metric(name, value, rows, spread) for name, value in values.items()]
    metrics += [
        _metric(f"f1.{item.label}", item.f1, item.support, spread * 1.3) for item in classes
    ]
    return Scores(rows=rows, metrics=tuple(metrics), classes=tuple(classes), confusion=confusion)


def _mean(values: list[float | None]) -> float | None:
    if any(value is None for value in values):
        return None
    return math.fsum(value for value in values if value is not None) / len(values)


def _metric(name: str, value: float | None, rows: int, spread: float) -> Metric:
    if value is None:
        return Metric(name=name, value=None, n=rows, undefined="no rows of this class")
    bounds = interval(max(0.0, value - spread), min(1.0, value + spread * 0.9))
    return Metric(name=name, value=value, n=rows, interval=bounds)


def history(steps: int = 50) -> tuple[HistoryPoint, ...]:
    points = []
    for step in range(1, steps + 1):
        share = step / steps
        loss = 1.9 * math.exp(-5 * share) + 0.19 + 0.05 * math.sin(step * 1.7) * (1 - share * 0.6)
        evaluated = step % 10 == 0
        points.append(
            HistoryPoint(
                step=step,
                epoch=2 * share,
                loss=loss,
                learning_rate=5e-4 * (1 - share),
                grad_norm=1.2 - share,
                eval_loss=1.5 * math.exp(-5 * share) + 0.235 + max(0, share - 0.8) * 0.1
                if evaluated
                else None,
            )
        )
    return tuple(points)


def data_summary() -> DataSummary:
    return DataSummary(
        rows_read=10605,
        rows_used=800,
        dropped={"no bin": 3120, "duplicate": 12, "not sampled": 6673},
        splits=(
            SplitSummary(
                name="train",
                rows=400,
                seen=400,
                labels={"negative": 198, "positive": 202},
                digest="3f1a" * 16,
            ),
            SplitSummary(
                name="validation",
                rows=100,
                seen=100,
                labels={"negative": 50, "positive": 50},
                digest="9c02" * 16,
            ),
            SplitSummary(
                name="holdout",
                rows=300,
                seen=300,
                labels={"negative": 149, "positive": 151},
                digest="77e4" * 16,
            ),
        ),
        findings=(
            DataFinding(
                check="duplicates",
                action="drop",
                count=12,
                message="12 rows repeat the text of an earlier row",
                examples=(
                    "reviews.csv:17 “an hour of my life”",
                    "reviews.csv:902 “a film for nobody”",
                ),
            ),
            DataFinding(
                check="leakage",
                action="fail",
                count=0,
                message="no holdout row stands in train or validation",
            ),
            DataFinding(
                check="imbalance",
                action="warn",
                count=0,
                message="smallest class 49.5 % of the training rows",
            ),
        ),
        overlap_exact=0,
        overlap_near=0,
        sources=(
            SourceSummary(
                name="reviews.csv", shape="columns", rows_read=9000, rows_used=700, weight=1.0
            ),
            SourceSummary(
                name="old.csv", shape="columns", rows_read=1605, rows_used=100, weight=0.5
            ),
        ),
        firewall=Firewall(
            method="5-character shingles, similar from 0.8 on",
            similarity=0.8,
            compared=500,
            found_exact=0,
            found_near=1,
            removed=2,
            left_exact=0,
            left_near=0,
        ),
        recorded=Recorded(kept=300, gone=0, added=0, new_rows={"train": 9, "none": 3}),
    )


def training() -> TrainingSummary:
    return TrainingSummary(
        backend="axolotl",
        backend_version="0.21.0",
        device="cpu (2 cores)",
        precision="bf16",
        steps=50,
        epochs=2.0,
        seconds=171.4,
        rows=400,
        supervised_tokens=1204,
        trainable_parameters=4_884_480,
        total_parameters=139_399_488,
        kept_step=40,
        stopped_early=False,
        resumed_from_step=None,
        adapter_norm=3.271,
        history=history(),
        peak_memory_bytes=2_140_000_000,
        cpu_seconds=330.1,
    )


def train_cost() -> StageCost:
    return StageCost(
        stage="train",
        basis="probe",
        estimated="before the run",
        estimated_seconds=160.0,
        seconds=173.2,
        seconds_error=-0.0762,
        estimated_memory_bytes=2_100_000_000,
        memory_bytes=2_140_000_000,
        memory_error=-0.0187,
        estimated_disk_bytes=None,
        disk_bytes=19_600_000,
        disk_error=None,
    )


def check(name: str, got: float | None, bound: float, status: Status, **rest: object) -> Check:
    fields: dict[str, object] = {
        "direction": "min",
        "decided_on": "lower bound",
        "n": 300,
        **rest,
    }
    return Check(name=name, got=got, bound=bound, status=status, **fields)  # type: ignore[arg-type]


def gate(tuned: Scores) -> Verdict:
    checks = [
        check(
            name, tuned.metric(name).value, bound, Status.PASS, interval=tuned.metric(name).interval
        )
        for name, bound in (("macro_f1", 0.80), ("f1.negative", 0.75))
    ]
    checks.append(
        check(
            "valid_output",
            1.0,
            0.98,
            Status.PASS,
            interval=interval(0.988, 1.0, "wilson"),
            note="free decoding: without a grammar",
        )
    )
    checks.append(
        check(
            "over_baselines.macro_f1",
            0.177,
            0.05,
            Status.PASS,
            interval=interval(0.121, 0.236),
            p_value=0.0002,
            note="against tfidf_svm, paired on 300 rows",
        )
    )
    checks.append(
        check(
            "overfitting",
            0.031,
            0.15,
            Status.PASS,
            direction="max",
            decided_on="point",
            n=100,
            note="train macro_f1 (200 sampled rows) minus validation macro_f1",
        )
    )
    return Verdict(status=Status.PASS, checks=tuple(checks))


def verify() -> Verdict:
    return Verdict(
        status=Status.PASS,
        checks=(
            check(
                "drop.macro_f1",
                0.003,
                0.02,
                Status.PASS,
                direction="max",
                decided_on="point",
                interval=interval(-0.008, 0.014),
            ),
            check("agreement", 0.987, 0.95, Status.PASS, interval=interval(0.966, 0.995, "wilson")),
            check("valid_output", 1.0, 0.98, Status.PASS, interval=interval(0.988, 1.0, "wilson")),
            check(
                "token_parity",
                1.0,
                1.0,
                Status.PASS,
                decided_on="point",
                note="same token ids in transformers and llama.cpp on 300 of 300 prompts",
            ),
        ),
    )


def baselines() -> tuple[BaselineResult, ...]:
    made = (
        ("majority", ((0, 149, 0), (0, 151, 0)), 0.0, "always `positive`"),
        (
            "tfidf_svm",
            ((108, 41, 0), (43, 108, 0)),
            0.6,
            "word 1-2 and character 2-5 grams, linear SVM",
        ),
        ("zero_shot", ((31, 118, 0), (15, 136, 0)), 14.1, "constrained decoding"),
        ("few_shot", ((70, 79, 0), (41, 110, 0)), 16.5, "4 shots, constrained decoding"),
    )
    return tuple(
        BaselineResult(
            name=name, scores=scores(confusion), passes=False, seconds=seconds, note=note
        )
        for name, confusion, seconds, note in made
    )


def stages(**changed: StageRecord) -> tuple[StageRecord, ...]:
    seconds = (0.4, 31.2, 0.1, 171.4, 28.9, 0.2, 4.1, 5.2, 19.4, 0.3)
    return tuple(
        changed.get(name)
        or StageRecord(
            stage=name,
            status=StageStatus.REUSED if name in ("data", "baseline") else StageStatus.RAN,
            key=f"{position:x}a7c" * 16,
            reason="built 2026-11-24 14:02 UTC on this machine"
            if name in ("data", "baseline")
            else "recipe changed at method.rank",
            seconds=took,
        )
        for position, (name, took) in enumerate(zip(STAGES, seconds, strict=True))
    )


def accepted() -> Report:
    tuned = scores(((132, 17, 0), (14, 137, 0)))
    return Report(
        schema="report.v1",
        costs=(train_cost(),),
        recipe_name="made-up-sentiment",
        description="Tell positive from negative sentences of film reviews.",
        outcome="accepted",
        summary="Every check passes: the tuned model beats every baseline, and quantization keeps its quality.",
        next_steps=('recipe try made-up-sentiment "An hour of my life I will not get back."',),
        started="2026-11-24T16:03:46Z",
        seconds=291.2,
        run_directory=".recipe/runs/made-up-sentiment/2026-11-24-7f3a91c2",
        labels=LABELS,
        task={
            "kind": "classification",
            "instruction": "Is this review snippet positive or negative?",
            "system": "",
            "input": "{text}",
            "labels": list(LABELS),
            "output": "text",
        },
        base_model="llm-made-up==0.1.2 · SmallModel-135M-Instruct.Q4_1.gguf",
        method="lora r16 on SmallModel-135M-Instruct, 2 epochs, learning rate 5e-4",
        stages=stages(),
        data=data_summary(),
        baselines=baselines(),
        training=training(),
        holdout=tuned,
        free=scores(((132, 17, 0), (14, 137, 0))),
        train_scores=scores(((97, 3, 0), (4, 96, 0))),
        validation_scores=scores(((46, 4, 0), (3, 47, 0)), spread=0.06),
        gate=gate(tuned),
        verify=verify(),
        quantized=scores(((131, 18, 0), (14, 137, 0))),
        agreement=0.987,
        flips=(
            {
                "id": "5b1c0a9e77d2f310",
                "target": "negative",
                "merged": "negative",
                "quantized": "positive",
            },
            {
                "id": "90aa31c27be4f001",
                "target": "positive",
                "merged": "negative",
                "quantized": "positive",
            },
            {
                "id": "c41f0029d3aa9e5b",
                "target": "positive",
                "merged": "positive",
                "quantized": "negative",
            },
            {
                "id": "e7720b1fa8c04d16",
                "target": "negative",
                "merged": "positive",
                "quantized": "negative",
            },
        ),
        files=(
            ExportedFile(
                name="model", format="safetensors", bytes=269_060_552, sha256="be" * 32, tensors=272
            ),
            ExportedFile(
                name="model-Q4_K_M.gguf",
                format="gguf",
                bytes=105_454_144,
                sha256="a4" * 32,
                bits_per_weight=6.17,
                fallback_tensors=180,
                tensors=272,
            ),
        ),
        warnings=("R110 data.sources[0]: sha256 is not written, the file can change unnoticed",),
        recipe_text=RECIPE_TEXT,
        resolved_recipe=RECIPE_TEXT + "splits:\n  by: stratified\n  seed: 7\n",
        backend_config=BACKEND_CONFIG,
        versions={
            "slm-recipe": "0.1.0",
            "python": "3.13.1",
            "torch": "2.13.0",
            "transformers": "5.20.0",
            "peft": "0.21.0",
            "axolotl": "0.21.0",
            "llama.cpp": "b9999",
        },
        environment={"device": "cpu", "cores": "2", "memory": "8.2 GB", "platform": "Linux x86_64"},
        notes=(
            "data and baseline were reused from earlier runs with the same keys",
            "train scores stand on 200 sampled rows of 400",
        ),
        holdout_use=HoldoutUse(digest="77e4" * 16, looks=4, redraws=1),
    )


def _skipped(first: str, reason: str) -> dict[str, StageRecord]:
    after = STAGES[STAGES.index(first) : -1]
    return {
        name: StageRecord(
            stage=name, status=StageStatus.SKIPPED, key="", reason=reason, seconds=0.0
        )
        for name in after
    }


def refused() -> Report:
    tuned = scores(((96, 31, 22), (29, 115, 7)))
    checks = (
        check("macro_f1", 0.742, 0.80, Status.FAIL, interval=interval(0.693, 0.788)),
        check(
            "f1.negative",
            0.701,
            0.70,
            Status.INCONCLUSIVE,
            interval=interval(0.634, 0.762),
            note="the point holds, the lower bound does not; about 900 holdout rows would decide it (an estimate)",
        ),
        check("valid_output", None, 0.98, Status.FAIL, note="free decoding gave no rows"),
        check(
            "over_baselines.macro_f1",
            0.022,
            0.05,
            Status.FAIL,
            interval=interval(-0.021, 0.064),
            p_value=0.312,
            note="against tfidf_svm, paired on 300 rows",
        ),
    )
    return dataclasses.replace(
        accepted(),
        outcome="refused",
        summary="Refused by the gate: 3 of 4 checks fail, 1 is undecided.",
        next_steps=(
            "`negative` is taken for `positive` 31 times (see the confusion matrix)",
            "with about 900 holdout rows f1.negative would be decided (an estimate)",
            "recipe report made-up-sentiment --open",
        ),
        stages=stages(**_skipped("merge", "refused by the gate")),
        holdout=tuned,
        gate=Verdict(status=Status.FAIL, checks=checks),
        verify=None,
        quantized=None,
        agreement=None,
        flips=(),
        files=(),
        notes=(),
    )


def baseline_passes() -> Report:
    enough = dataclasses.replace(
        baselines()[1], scores=scores(((140, 9, 0), (8, 143, 0))), passes=True
    )
    return dataclasses.replace(
        refused(),
        outcome="baseline_passes",
        summary="tfidf_svm already passes every threshold: no fine-tuning is needed.",
        next_steps=("use tfidf_svm, or raise the thresholds if it is not good enough",),
        stages=stages(**_skipped("compile", "a baseline passes")),
        baselines=(baselines()[0], enough, *baselines()[2:]),
        training=None,
        holdout=None,
        free=None,
        train_scores=None,
        validation_scores=None,
        gate=None,
        backend_config="",
    )


def failed() -> Report:
    problem = "B402 training exited with 1 after step 20: loss is NaN"
    broken = StageRecord(
        stage="train",
        status=StageStatus.FAILED,
        key="4a7c" * 16,
        reason="never built",
        seconds=41.0,
        problems=(problem,),
    )
    return dataclasses.replace(
        baseline_passes(),
        outcome="failed",
        summary="The train stage failed.",
        next_steps=("recipe run recipes/made-up-sentiment.yaml",),
        stages=stages(**{**_skipped("evaluate", "train failed"), "train": broken}),
        baselines=baselines(),
        backend_config=BACKEND_CONFIG,
    )


def _made_up_row(row: int, count: int) -> tuple[int, ...]:
    """Mostly right, a few scattered mistakes, now and then an invalid answer."""
    right = 30 - (row * 7) % 9
    wrong = (
        (1 + (row + column) % 4) * ((row * 13 + column * 5) % 23 == 0) for column in range(count)
    )
    named = (right if column == row else times for column, times in enumerate(wrong))
    return (*named, 2 * (row % 11 == 0))


def many_labels(count: int = 77) -> Report:
    labels = tuple(
        f"intent_{index:02d}_{'abcdefgh'[index % 8] * (3 + index % 9)}" for index in range(count)
    )
    confusion = tuple(_made_up_row(row, count) for row in range(count))
    tuned = scores(confusion, labels)
    return dataclasses.replace(
        accepted(),
        labels=labels,
        holdout=tuned,
        free=tuned,
        recipe_name="made-up-intents",
        description="Route a banking question to one of 77 intents.",
    )
