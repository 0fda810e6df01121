"""Contradictions of a bundle, each with a part of the sentence that must name it."""

from __future__ import annotations

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
    "no checks in verify": (put([], "verify", "checks"), "verify has no checks"),
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
        "gate has no check of macro_f1",
    ),
    "parity is missing": (without("parity.merged"), "no check of parity.merged"),
    "parity of 16 bits is missing": (without("parity.f16"), "no check of parity.f16"),
    "token parity is missing": (without("token_parity"), "no check of token_parity"),
    "a lower bound": (bound_lower, "bound by 0.001"),
    "a lower parity": (
        lambda forge: [one.update(bound=0.1) for one in forge.check("parity.merged")],
        "parity.merged is bound by 0.1",
    ),
    "another direction": (
        lambda forge: [one.update(direction="max") for one in forge.check("macro_f1")],
        "macro_f1",
    ),
    "decided on the point": (
        lambda forge: [one.update(decided_on="point") for one in forge.check("macro_f1")],
        "on the point",
    ),
    "got more": (
        lambda forge: [one.update(got=0.99) for one in forge.check("macro_f1")],
        "macro_f1 got 0.99",
    ),
    "on other rows": (
        lambda forge: [one.update(n=4000) for one in forge.check("macro_f1")],
        "stands on 4000 rows",
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
        "macro_f1 is 0.99",
    ),
    "better everywhere": (better_everywhere, "the confusion matrix gives"),
    "a better end everywhere": (better_end_everywhere, "the interval of macro_f1"),
    "another confusion": (put(more(1), "holdout", "confusion", 0, 0), "confusion matrix counts"),
    "a swapped confusion": (confusion_of_a_better_model, "answers of the lock"),
    "a table that is too good": (put(1.0, "holdout", "classes", 0, "f1"), "in the table"),
    "more support": (put(99, "holdout", "classes", 0, "support"), "support of"),
    "fewer rows": (put(39, "holdout", "rows"), "39 rows"),
    "better free decoding": (
        lambda forge: forge.metric("accuracy", "free").update(value=1.0),
        "free: accuracy is 1.0",
    ),
    "better file": (
        lambda forge: forge.metric("accuracy", "quantized").update(value=1.0),
        "quantized: accuracy is 1.0",
    ),
    "another confidence": (
        lambda forge: forge.metric("accuracy")["interval"].update(confidence=0.5),
        "is one of 0.5",
    ),
    "a weaker baseline": (
        put(0.0, "baselines", 0, "scores", "metrics", 0, "value"),
        "baseline majority: accuracy is 0",
    ),
    "a baseline left out": (
        lambda forge: forge.report["baselines"].pop(),
        "the recipe asks for",
    ),
    "a baseline that passes": (
        put(lambda old: not old, "baselines", 0, "passes"),
        "baseline majority is reported to",
    ),
    "a gain made up": (put(0.9, "comparisons", 0, "difference"), "the scores say"),
    "a smaller p-value": (put(1e-9, "comparisons", 0, "p_adjusted"), "is corrected to 1e-09"),
    # lock
    "value in the lock": (
        put(0.99, "accepted", "metrics", "macro_f1", "value", of="lock"),
        "value of macro_f1",
    ),
    "end in the lock": (
        put(1.0, "accepted", "metrics", "macro_f1", "high", of="lock"),
        "high of macro_f1",
    ),
    "rows in the lock": (
        put(9, "accepted", "metrics", "macro_f1", "n", of="lock"),
        "stands on 40 rows in the report, on 9 in the lock",
    ),
    "a metric only in the report": (
        lambda forge: forge.accepted["metrics"].pop("accuracy"),
        "accuracy is in the report and not in the lock",
    ),
    "verdict in the lock": (
        put("fail", "accepted", "verdicts", "gate", of="lock"),
        "`fail` in the lock",
    ),
    "no verdicts in the lock": (
        put({}, "accepted", "verdicts", of="lock"),
        "`None` in the lock",
    ),
    "files in the lock": (
        lambda forge: forge.accepted["files"].update({"model-Q4_K_M.gguf": ZEROS}),
        "report and lock have other files",
    ),
    "holdout in the lock": (
        put(ZEROS, "splits", "holdout", "digest", of="lock"),
        "other rows in a split",
    ),
    "rows of the holdout in the lock": (
        put(400, "splits", "holdout", "rows", of="lock"),
        "holdout has 40 rows in the report, 400 in the lock",
    ),
    "accepted rows": (
        put(ZEROS, "accepted", "splits", "holdout", of="lock"),
        "accepted run have other rows",
    ),
    "rows that were read": (
        lambda forge: forge.accepted.update(rows=9000, fingerprints=None),
        "9000 in the lock",
    ),
    "another draw": (
        put(8, "draw", "splits.seed", of="lock"),
        "the lock records another draw",
    ),
    "looks turned back": (put(0, "holdout_use", "looks"), "has decided 0 times"),
    "redraws": (put(3, "holdout", "redraws", of="lock"), "was redrawn"),
    "firewall": (put(7, "firewall", "found_exact", of="lock"), "of the firewall"),
    "recipe digest": (
        put(ZEROS, "accepted", "recipe", "digest", of="lock"),
        "the resolved recipe has the digest",
    ),
    "recipe sections": (
        put("0" * 16, "accepted", "recipe", "sections", "acceptance", of="lock"),
        "other digests of the recipe's sections",
    ),
    "seed in the lock": (
        put(99, "accepted", "recipe", "seed", of="lock"),
        "the seed 99",
    ),
    "config in the lock": (
        put(ZEROS, "accepted", "config", of="lock"),
        "another sha256 than the lock says",
    ),
    "answers in the lock": (
        lambda forge: forge.accepted["answers"].update(
            entries=base64.b64encode(bytes(160)).decode()
        ),
        "answers of the lock",
    ),
    "name in the lock": (put("other", "recipe", of="lock"), "the lock is of `other`"),
    "no accepted run": (
        lambda forge: forge.lock.update(accepted=None),
        "accepted",
    ),
    # report
    "name in the report": (put("other", "recipe_name"), "the report is of `other`"),
    "outcome": (put("refused", "outcome"), "the run ended `refused`"),
    "a stage that did not run": (
        lambda forge: forge.report["stages"].pop(),
        "stage verify did not run",
    ),
    "a stage that failed": (put("failed", "stages", 3, "status"), "did not run"),
    "labels": (put(["a", "b"], "labels"), "another `labels`"),
    "base model": (put("a better one", "base_model"), "another `base_model`"),
    "method": (put("full on a better one", "method"), "another `method`"),
    "description": (put("Certified.", "description"), "another `description`"),
    "waivers": (put([{"what": "W1", "why": "so"}], "waivers"), "another `waivers`"),
    "rows used": (put(more(5), "data", "rows_used"), "rows were used"),
    "labels of a split": (
        put(99, "data", "splits", 2, "labels", "negative"),
        "the labels of holdout are those of",
    ),
    "agreement": (put(1.5, "agreement"), "agreement is 1.5"),
    "config in the report": (
        put(lambda old: old + "#", "backend_config"),
        "backend-config.yaml is not the one in the report",
    ),
    "summary": (put("Certified by everybody.", "summary"), "the summary is"),
    "next steps": (put(["pay"], "next_steps"), "the next steps are"),
    "another trainer": (put("axolotl", "training", "backend"), "it was trained by `axolotl`"),
    "trained on more rows": (put(6000, "training", "rows"), "it was trained on 6000 rows"),
    "a step beyond the training": (put(10**6, "training", "kept_step"), "beyond its"),
    "another checkpoint kept": (put(3, "training", "kept_step"), "none is of that step"),
    "a checkpoint on more rows": (
        put(900, "checkpoints", 0, "metric", "n"),
        "was judged on 900 of 20 rows",
    ),
    "a better checkpoint": (
        put(1.5, "checkpoints", 0, "metric", "value"),
        "outside of its interval",
    ),
    "a lower loss of a checkpoint": (put(0.01, "checkpoints", 0, "eval_loss"), "has the loss 0.01"),
    "a split asked for more": (put(900, "data", "splits", 2, "asked"), "was asked for 900 rows"),
    "a check that dropped": (put("drop", "data", "findings", 0, "action"), "says `drop`"),
    "a check made up": (put("bias", "data", "findings", 0, "check"), "which is no check"),
    "a weight of a source": (put(0.5, "data", "sources", 0, "weight"), "has the weight 0.5"),
    "a split of a source": (put("train", "data", "sources", 0, "into"), "goes into `train`"),
    "longer rows": (put(4096, "lengths", 0, "max_length"), "was cut at 4096 tokens"),
    "rows left out in silence": (put(9, "lengths", 0, "left_out"), "rows of train were used of"),
    "a bin of the calibration": (
        put(0.5, "holdout", "calibration", "bins", 0, "low"),
        "a bin of the calibration goes from 0.5",
    ),
    "a surer interval of agreement": (
        put(1.0, "ladder", 1, "agreement", "interval", "low"),
        "the interval of its agreement",
    ),
    "a surer comparison": (
        put(0.5, "comparisons", 0, "interval", "confidence"),
        "its interval is one of 0.5",
    ),
    "several processes": (put(2, "training", "processes"), "2 processes trained together"),
    "another platform": (put("Darwin arm64", "environment", "platform"), "the machine is"),
    "a cost of nothing": (put("audit", "costs", 0, "stage"), "a cost is of `audit`"),
    "inputs of the draw": (put("x", "inputs", of="lock"), "`inputs` of the lock is no sha256"),
    "the record of the draw": (put("x", "drawn_with", of="lock"), "is no sha256"),
    # quantities
    "a cheaper stage": (put(0.5, "costs", 3, "seconds"), "train took 0.5 s, its stage"),
    "a shorter run": (put(1.0, "seconds"), "the whole run 1.0 s"),
    "an estimate that was right": (
        put(0.0, "costs", 3, "disk_error"),
        "the error of its disk is 0.0",
    ),
    "a training of less memory": (put(10**6, "costs", 3, "memory_bytes"), "bytes of memory"),
    "a smaller file": (put(1, "files", -3, "bytes"), "the GGUF file has"),
    "more steps": (
        put(1600, "training", "steps"),
        "the training took 1600 steps, the recipe gives",
    ),
    "rows left out of the training": (
        put(9, "training", "rows_left_out"),
        "left out of the training",
    ),
    "trained on another machine": (put("H100", "training", "device"), "it was trained on `H100`"),
    "another version of the trainer": (put("9.9", "training", "backend_version"), "by version 9.9"),
    "a comparison on more rows": (put(4000, "comparisons", 0, "n"), "stands on 4000 rows"),
    "a chance below none": (put(-1.0, "comparisons", 0, "p_value"), "has the p-value -1"),
    "an interval by another method": (
        lambda forge: forge.metric("accuracy")["interval"].update(method="exact"),
        "the interval of accuracy",
    ),
    "a stage of another revision": (
        put(99, "accepted", "stages", "gate", of="lock"),
        "the stage gate has the revision 99",
    ),
    # files
    "a weaker recipe": (accepted_by_a_weaker_recipe, "asks for something else than"),
    "another recipe as written": (
        lambda forge: forge.replace("min: 0.01", "min: 0.9", "recipe.yaml"),
        "recipe.yaml asks for something else",
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
        "`verdicts` is {} in the statement",
    ),
    "metrics in the statement": (
        lambda forge: forge.statement.update(metrics={"macro_f1": {"value": 1.0}}),
        "`metrics` is",
    ),
    "recipe in the statement": (
        lambda forge: forge.statement.update(recipe={"name": "other"}),
        "`recipe` is",
    ),
    "more in the statement": (
        lambda forge: forge.statement.update(certified=True),
        "`certified` is true in the statement",
    ),
    "outcome in the statement": (
        lambda forge: forge.statement.update(outcome="certified"),
        "`outcome` is",
    ),
}
