"""Contradictions of a bundle, each with a part of the sentence that must name it."""

import base64

from support.forged_bundles import (
    RESOLVED,
    ZEROS,
    Change,
    accepted_by_a_weaker_recipe,
    another_page,
    better_end_everywhere,
    better_everywhere,
    bound_lower,
    confusion_of_a_better_model,
    more,
    page_more,
    put,
    without,
)
from support.further_contradictions import FURTHER

CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    **FURTHER,
    # checks
    "no gate": (put(None, "gate"), "gate has no checks"),
    "no checks in the gate": (put([], "gate", "checks"), "gate has no checks"),
    "no checks in verify": (
        put([], "verify", "checks"),
        "verify has not the check of parity.merged that the",
    ),
    "no verify": (put(None, "verify"), "verify has no checks"),
    "a check of the gate is missing": (
        put(
            [
                {
                    "name": "accuracy",
                    "status": "pass",
                    "got": 1.0,
                    "direction": "min",
                    "bound": 0.01,
                    "decided_on": "lower bound",
                    "n": 40,
                    "interval": None,
                }
            ],
            "gate",
            "checks",
        ),
        'gate.checks` is ["accuracy min"]',
    ),
    "parity is missing": (without("parity.merged"), "no check of parity.merged"),
    "parity of 16 bits is missing": (without("parity.f16"), "no check of parity.f16"),
    "token parity is missing": (without("token_parity"), "no check of token_parity"),
    "a lower bound": (bound_lower, "macro_f1 min.bound` is 0.001"),
    "a lower parity": (
        lambda forge: [one.update(bound=0.1) for one in forge.check("parity.merged")],
        "merged.bound` is 0.1",
    ),
    "another direction": (
        lambda forge: [one.update(direction="max") for one in forge.check("macro_f1")],
        "macro_f1",
    ),
    "decided on the point": (
        lambda forge: [one.update(decided_on="point") for one in forge.check("macro_f1")],
        'macro_f1 min.decided_on` is "point"',
    ),
    "got more": (
        lambda forge: [one.update(got=0.99) for one in forge.check("macro_f1")],
        "macro_f1 min.got` is 0.99",
    ),
    "on other rows": (
        lambda forge: [one.update(n=4000) for one in forge.check("macro_f1")],
        "macro_f1 min.n` is 4000",
    ),
    "a check twice": (
        lambda forge: forge.report["gate"]["checks"].append(forge.report["gate"]["checks"][0]),
        "has a check twice",
    ),
    "fails and passes": (
        lambda forge: [one.update(status="fail") for one in forge.check("macro_f1")],
        "its checks say `fail`",
    ),
    "a failing verdict": (put("fail", "gate", "status"), "gate is `fail`"),
    "passes below its bound": (
        lambda forge: [one.update(got=0.5) for one in forge.check("parity.merged")],
        "parity.merged passes, its numbers do not",
    ),
    "a rung that failed": (
        put("fail", "ladder", 1, "verdict", "checks", 0, "status"),
        "that the rung merged has",
    ),
    # scores
    "better value": (
        lambda forge: forge.metric("macro_f1").update(value=0.99),
        "macro_f1.value` is 0.99",
    ),
    "better everywhere": (better_everywhere, "macro_f1.value` is 0.99"),
    "a better end everywhere": (better_end_everywhere, "macro_f1.low` is 0.375"),
    "another confusion": (put(more(1), "holdout", "confusion", 0, 0), "confusion matrix counts"),
    "a swapped confusion": (confusion_of_a_better_model, "answers of the lock"),
    "a table that is too good": (put(1.0, "holdout", "classes", 0, "f1"), "negative.f1` is 1.0"),
    "more support": (put(99, "holdout", "classes", 0, "support"), "negative.support` is 99"),
    "fewer rows": (put(39, "holdout", "rows"), "answers.rows` is 40"),
    "better free decoding": (
        lambda forge: forge.metric("accuracy", "free").update(value=1.0),
        "accuracy.value` is 1.0",
    ),
    "better file": (
        lambda forge: forge.metric("accuracy", "quantized").update(value=1.0),
        "accuracy.value` is 1.0",
    ),
    "another confidence": (
        lambda forge: forge.metric("accuracy")["interval"].update(confidence=0.5),
        "interval.confidence` is 0.5",
    ),
    "a weaker baseline": (
        put(0.0, "baselines", 0, "scores", "metrics", 0, "value"),
        "accuracy.value` is 0.0",
    ),
    "a baseline left out": (lambda forge: forge.report["baselines"].pop(), "the recipe asks for"),
    "a baseline that passes": (
        put(lambda old: not old, "baselines", 0, "passes"),
        "majority.passes` is false",
    ),
    "a gain made up": (
        put(0.9, "comparisons", 0, "difference"),
        "majority macro_f1.difference` is 0.9",
    ),
    "a smaller p-value": (
        put(1e-9, "comparisons", 0, "p_adjusted"),
        "majority macro_f1.p_adjusted` is 1e-09",
    ),
    # lock
    "value in the lock": (
        put(0.99, "accepted", "metrics", "macro_f1", "value", of="lock"),
        "`metrics.macro_f1` is 0.99",
    ),
    "end in the lock": (
        put(1.0, "accepted", "metrics", "macro_f1", "high", of="lock"),
        "macro_f1.high` is 1.0",
    ),
    "rows in the lock": (
        put(9, "accepted", "metrics", "macro_f1", "n", of="lock"),
        "macro_f1.n` is 9",
    ),
    "a metric only in the report": (
        lambda forge: forge.accepted["metrics"].pop("accuracy"),
        "metrics.accuracy` is null",
    ),
    "verdict in the lock": (
        put("fail", "accepted", "verdicts", "gate", of="lock"),
        "`fail` in the lock",
    ),
    "no verdicts in the lock": (put({}, "accepted", "verdicts", of="lock"), "`None` in the lock"),
    "files in the lock": (
        lambda forge: forge.accepted["files"].update({"model-Q4_K_M.gguf": ZEROS}),
        "gguf.sha256`",
    ),
    "holdout in the lock": (
        put(ZEROS, "splits", "holdout", "digest", of="lock"),
        "holdout.digest`",
    ),
    "rows of the holdout in the lock": (
        put(400, "splits", "holdout", "rows", of="lock"),
        "holdout.rows` is 40",
    ),
    "accepted rows": (
        put(ZEROS, "accepted", "splits", "holdout", of="lock"),
        'splits.holdout` is "000000000000000',
    ),
    "rows that were read": (
        lambda forge: forge.accepted.update(rows=9000, fingerprints=None),
        "data.rows_read` is 140",
    ),
    "another draw": (put(8, "draw", "splits.seed", of="lock"), "splits.seed` is 8"),
    "looks turned back": (put(0, "holdout_use", "looks"), "has decided 0 times"),
    "redraws": (put(3, "holdout", "redraws", of="lock"), "holdout_use.redraws` is 0"),
    "firewall": (put(7, "firewall", "found_exact", of="lock"), "firewall.found_exact` is 0"),
    "recipe digest": (
        put(ZEROS, "accepted", "recipe", "digest", of="lock"),
        'recipe.digest` is "0000000000000000',
    ),
    "recipe sections": (
        put("0" * 16, "accepted", "recipe", "sections", "acceptance", of="lock"),
        'sections.acceptance` is "0000000000000000"',
    ),
    "seed in the lock": (put(99, "accepted", "recipe", "seed", of="lock"), "the seed 99"),
    "config in the lock": (put(ZEROS, "accepted", "config", of="lock"), "config`"),
    "answers in the lock": (
        lambda forge: forge.accepted["answers"].update(
            entries=base64.b64encode(bytes(160)).decode()
        ),
        "answers of the lock",
    ),
    "name in the lock": (put("other", "recipe", of="lock"), 'recipe` is "other"'),
    "no accepted run": (lambda forge: forge.lock.update(accepted=None), "accepted"),
    # report
    "name in the report": (put("other", "recipe_name"), 'recipe_name` is "other"'),
    "outcome": (put("refused", "outcome"), 'outcome` is "refused"'),
    "a stage that did not run": (
        lambda forge: forge.report["stages"].pop(),
        "stage verify did not run",
    ),
    "a stage that failed": (put("failed", "stages", 3, "status"), "did not run"),
    "labels": (put(["a", "b"], "labels"), 'labels.0` is "a"'),
    "base model": (put("a better one", "base_model"), 'base_model` is "a better one"'),
    "method": (put("full on a better one", "method"), 'method` is "full on a better one"'),
    "description": (put("Certified.", "description"), 'description` is "Certified."'),
    "waivers": (put([{"what": "W1", "why": "so"}], "waivers"), 'waivers` is [{"what": "W1"'),
    "rows used": (put(more(5), "data", "rows_used"), "data.rows_used` is 125"),
    "labels of a split": (
        put(99, "data", "splits", 2, "labels", "negative"),
        "the labels of holdout are those of",
    ),
    "agreement": (put(1.5, "agreement"), "agreement` is 1.5"),
    "config in the report": (put(lambda old: old + "#", "backend_config"), "backend_config`"),
    "summary": (put("Certified by everybody.", "summary"), 'summary` is "Certified by everybody."'),
    "next steps": (put(["pay"], "next_steps"), 'next_steps` is ["pay"]'),
    "another trainer": (put("axolotl", "training", "backend"), 'training.backend` is "axolotl"'),
    "trained on more rows": (put(6000, "training", "rows"), "training.rows` is 6000"),
    "a step beyond the training": (put(10**6, "training", "kept_step"), "beyond its"),
    "another checkpoint kept": (put(3, "training", "kept_step"), "none is of that step"),
    "a checkpoint on more rows": (put(900, "checkpoints", 0, "metric", "n"), "metric.n` is 900"),
    "a better checkpoint": (
        put(1.5, "checkpoints", 0, "metric", "value"),
        "outside of its interval",
    ),
    "a lower loss of a checkpoint": (
        put(0.01, "checkpoints", 0, "eval_loss"),
        "4.eval_loss` is 0.01",
    ),
    "a split asked for more": (put(900, "data", "splits", 2, "asked"), "holdout.asked` is 900"),
    "a check that dropped": (
        put("drop", "data", "findings", 0, "action"),
        'findings.near_duplicates` is "drop"',
    ),
    "a check made up": (put("bias", "data", "findings", 0, "check"), 'findings.bias` is "warn"'),
    "a weight of a source": (put(0.5, "data", "sources", 0, "weight"), "sources.weight` is 0.5"),
    "a split of a source": (put("train", "data", "sources", 0, "into"), 'sources.into` is "train"'),
    "longer rows": (put(4096, "lengths", 0, "max_length"), "train.max_length` is 4096"),
    "rows left out in silence": (put(9, "lengths", 0, "left_out"), "train.used` is 60"),
    "a bin of the calibration": (
        put(0.5, "holdout", "calibration", "bins", 0, "low"),
        "0.low` is 0.5",
    ),
    "a surer interval of agreement": (
        put(1.0, "ladder", 1, "agreement", "interval", "low"),
        "interval.low` is 1.0",
    ),
    "a surer comparison": (
        put(0.5, "comparisons", 0, "interval", "confidence"),
        "interval.confidence` is 0.5",
    ),
    "several processes": (
        put(2, "training", "processes"),
        "training.processes` is 2",
    ),
    "another platform": (
        put("Darwin arm64", "environment", "platform"),
        'environment.platform` is "Darwin arm64"',
    ),
    "a cost of nothing": (put("audit", "costs", 0, "stage"), "audit.seconds`"),
    "inputs of the draw": (put("x", "inputs", of="lock"), "`inputs` of the lock is no sha256"),
    "the record of the draw": (put("x", "drawn_with", of="lock"), "is no sha256"),
    # quantities
    "a cheaper stage": (put(0.5, "costs", 3, "seconds"), "train.seconds` is 0.5"),
    "a shorter run": (put(1.0, "seconds"), "the whole run 1.0 s"),
    "an estimate that was right": (put(0.0, "costs", 3, "disk_error"), "train.disk_error` is 0.0"),
    "a training of less memory": (
        put(10**6, "costs", 3, "memory_bytes"),
        "train.memory_bytes` is 1000000",
    ),
    "a smaller file": (put(1, "files", -3, "bytes"), "quantized.file_megabytes` is"),
    "more steps": (put(1600, "training", "steps"), "training.steps` is 1600"),
    "rows left out of the training": (
        put(9, "training", "rows_left_out"),
        "training.rows_left_out` is 9",
    ),
    "trained on another machine": (put("H100", "training", "device"), 'training.device` is "H100"'),
    "another version of the trainer": (
        put("9.9", "training", "backend_version"),
        'training.backend_version` is "9.9"',
    ),
    "a comparison on more rows": (put(4000, "comparisons", 0, "n"), "majority macro_f1.n` is 4000"),
    "a chance below none": (
        put(-1.0, "comparisons", 0, "p_value"),
        "majority macro_f1.p_value` is -1.0",
    ),
    "an interval by another method": (
        lambda forge: forge.metric("accuracy")["interval"].update(method="exact"),
        'interval.method` is "exact"',
    ),
    "a stage of another revision": (
        put(99, "accepted", "stages", "gate", of="lock"),
        "stages.gate` is 99",
    ),
    # files
    "a weaker recipe": (
        accepted_by_a_weaker_recipe,
        "`recipe.yaml.acceptance.metrics.macro_f1.min` is 0.01",
    ),
    "another recipe as written": (
        lambda forge: forge.replace("min: 0.01", "min: 0.9", "recipe.yaml"),
        "`recipe.yaml.acceptance.metrics.macro_f1.min` is 0.9",
    ),
    "a bound taken out": (
        lambda forge: forge.replace("    macro_f1:\n      min: 0.01\n", "    {}\n", RESOLVED),
        "recipe",
    ),
    "model card": (page_more("README.md", b"\nCertified.\n"), "README.md is not the page"),
    "page": (page_more("report.html", b"<p>Certified</p>"), "report.html is not the page"),
    "model card of another version": (
        page_more("README.md", b"\nIt reaches a macro-F1 of 0.98765.\n", version="0.1.0"),
        "README.md says 0.98765",
    ),
    "page of another version": (
        page_more("report.html", b"<p>0.98765</p>", version="0.1.0"),
        "report.html says 0.98765",
    ),
    "another page of another version": (another_page, "README.md does not name `tiny`"),
    # statement
    "verdicts in the statement": (
        lambda forge: forge.statement.update(verdicts={}),
        "verdicts.gate` is null",
    ),
    "metrics in the statement": (
        lambda forge: forge.statement.update(metrics={"macro_f1": {"value": 1.0}}),
        "metrics.abstention` is null",
    ),
    "recipe in the statement": (
        lambda forge: forge.statement.update(recipe={"name": "other"}),
        "recipe.digest` is null",
    ),
    "more in the statement": (
        lambda forge: forge.statement.update(certified=True),
        "certified` is true",
    ),
    "outcome in the statement": (
        lambda forge: forge.statement.update(outcome="certified"),
        'outcome` is "certified"',
    ),
}
