"""Contradictions that took two edits that fit each other: of comparisons, config, recorded rows and missing facts."""

import base64
import hashlib
from typing import Any

from support.forged_bundles import Change, Forge, put

CONFIG = "backend-config.yaml"


def _p_value(value: float) -> Change:
    """Of the first comparison, corrected as the others are."""

    def change(forge: Forge) -> None:
        forge.report["comparisons"][0].update(p_value=value, p_adjusted=min(1.0, 2 * value))

    return change


def _both(value: Any, *path: str, report: tuple[str, ...]) -> Change:
    def change(forge: Forge) -> None:
        put(value, *path, of="lock")(forge)
        put(value, *report)(forge)

    return change


def _config(old: str, new: str) -> Change:
    def change(forge: Forge) -> None:
        forge.replace(old, new, CONFIG)
        forge.accepted["config"] = hashlib.sha256(forge.files[CONFIG]).hexdigest()

    return change


def _trained_rows_judge(forge: Forge) -> None:
    splits = forge.lock["splits"]
    trained, held = (base64.b64decode(splits[name]["members"]) for name in ("train", "holdout"))
    splits["holdout"]["members"] = base64.b64encode(trained[: len(held)]).decode()


def _without_version(forge: Forge) -> None:
    del forge.accepted["versions"]["torch"]


def _repeats(verdict: str, **facts: Any) -> Change:
    """Say of a first run that it repeats its own lock."""
    found = {"verdict": verdict, "summary": verdict, "first_difference": "", **facts}
    return put(found, "reproduction")


def _of_file(name: str, **facts: Any) -> Change:
    """Change a check on an exported form, or leave it out, in verdict and rung alike."""

    def change(forge: Forge) -> None:
        rungs = [rung["verdict"] for rung in forge.report["ladder"] if rung["verdict"]]
        for verdict in (forge.report["verify"], *rungs):
            for check in [one for one in verdict["checks"] if one["name"] == name]:
                check.update(facts)
                if not facts:
                    verdict["checks"].remove(check)

    return change


FURTHER: dict[str, tuple[Change, str]] = {
    "a bound not evaluated on the file": (_of_file("macro_f1"), "verify has no check of macro_f1"),
    "a bound not evaluated on the merged model": (
        _of_file("merged.macro_f1"),
        "verify has no check of merged.macro_f1",
    ),
    "a bound of the file lowered": (_of_file("macro_f1", bound=0.001), "macro_f1.bound` is 0.001"),
    "a score of the file made up": (_of_file("merged.macro_f1", got=0.99), "macro_f1.got` is 0.99"),
    "a gain of the file made up": (
        put(0.9, "ladder", -1, "comparisons", 0, "difference"),
        "comparisons.majority macro_f1.difference",
    ),
    "more ties than changed answers": (put(40, "ladder", 1, "ties"), "ties of"),
    "a p-value that no draws give": (_p_value(0.73), "majority macro_f1.p_value` is 0.73"),
    "a p-value surer than its interval": (
        _p_value(20 / 2001),
        "majority macro_f1.p_value` is 0.009995002498750625",
    ),
    "a comparison by another test": (
        put("exact test", "comparisons", 0, "test"),
        'majority macro_f1.test` is "exact test"',
    ),
    "a comparison by another interval": (
        put("exact", "comparisons", 0, "interval", "method"),
        'interval.method` is "exact"',
    ),
    "a gain with too high a lower end": (
        put(-0.005, "comparisons", 0, "interval", "low"),
        "interval.low` is -0.005",
    ),
    "a gain of a wide interval": (
        put(3.0, "comparisons", 0, "interval", "high"),
        "interval.high` is 3.0",
    ),
    "a majority of the rarer label": (
        put([[16, 0, 0], [24, 0, 0]], "baselines", 0, "scores", "confusion"),
        "0.0` is 16",
    ),
    "a config of another rate": (
        _config("learning_rate: 0.005", "learning_rate: 0.5"),
        "`backend-config.yaml.learning_rate` is 0.5",
    ),
    "a config of more epochs": (
        _config("num_train_epochs: 2.0", "num_train_epochs: 7.0"),
        "`backend-config.yaml.num_train_epochs` is 7.0",
    ),
    "a config of no YAML": (_config("{base_model", "[{base_model"), "is no config of the backend"),
    "another precision": (
        _both("bf16", "accepted", "precision", report=("training", "precision")),
        "config.yaml.precision` is",
    ),
    "rows that judge and were trained on": (
        _trained_rows_judge,
        "recorded holdout rows are recorded for training too",
    ),
    "a firewall that left more than it found": (
        _both(0, "firewall", "found_near", report=("data", "firewall", "found_near")),
        "matches of 0 that it found",
    ),
    "a firewall of another similarity": (
        _both(0.99, "firewall", "similarity", report=("data", "firewall", "similarity")),
        "firewall.similarity` is 0.99",
    ),
    "a holdout that decided nothing": (
        _both(0, "holdout", "looks", report=("holdout_use", "looks")),
        "the holdout has decided 0 times in the report, 0 i",
    ),
    "validation rows of other labels": (
        put([[0, 17, 0], [0, 3, 0]], "validation_scores", "confusion"),
        "the confusion matrix of validation counts other labels",
    ),
    "a reproduction that compared nothing": (
        _repeats("reproduced exactly"),
        "reproduced exactly and did not compare backend config",
    ),
    "a reproduction that took results of the store": (
        _repeats("reproduced exactly", reused=["train"]),
        "results of the store were taken",
    ),
    "a noise in which nothing differs": (
        _repeats("reproduced within noise"),
        "and nothing differs",
    ),
    "a tool without its version": (_without_version, "does not record the version of torch"),
    "rows without fingerprints": (
        put(None, "accepted", "fingerprints", of="lock"),
        "does not record the rows that were read",
    ),
    "a base model without files": (
        put({}, "accepted", "base_model", "files", of="lock"),
        "does not record the files of the base model",
    ),
    "a merged model without files": (
        put({}, "accepted", "merged", of="lock"),
        "does not record the files of the merged model",
    ),
    "a source without its bytes": (
        put(None, "accepted", "sources", 0, "sha256", of="lock"),
        "does not record the bytes of",
    ),
}
"""Each signed again, with a part of the sentence that must name it."""
