"""The engine's defaults on the development sets: whether the model is worth it, and its probabilities right.

    python benchmarks/development.py run [--only NAME …] [--seeds 1] [--holdout ROWS]
    python benchmarks/development.py table

`run` gives each set 400 rows to train on, 200 to validate on and 1,000 (`--holdout`) held out, leaves every key of
`method` to the engine, asks for a gain over a linear SVM and a frozen encoder with a linear model, and calibrates the
4-bit file. What is there already is not run again. `table` prints macro-F1 of all, the paired gain over the better
baseline, and the calibration error of the file before and after. Rows are those that no default was tuned on
(`results_cases.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402 - after the path
from results import engine_command, keep, outcome_of, prune, run_recipe  # noqa: E402 - the same
from results_cases import CASES, DATA, UNFINISHED, Case, Settings, quickstart_base, recipe_of  # noqa: E402 - the same
from results_rows import Sources  # noqa: E402 - the same

from engine import load_report  # noqa: E402 - the same
from engine.evidence import CalibratedForm, Metric, Report  # noqa: E402 - the same

SETS: Final = (
    "snips", "sms_spam", "headlines", "banking77", "movies", "emotions", "clinc150", "pidgin",
)  # fmt: skip
SIZES: Final = (400, 200, 1000)
BASELINES: Final = ("tfidf_svm", "encoder_linear")
QUANTIZATION: Final = "Q4_K_M"
GATED, OPEN = "gated", "open"
"""The recipe that asks for a gain, and the one that makes the file whatever came of it."""


def main(words: Sequence[str] | None = None) -> int:
    """Run, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("verb", choices=("run", "table"))
    parser.add_argument("--only", nargs="+", default=list(SETS), metavar="NAME", choices=SETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--holdout", type=int, default=SIZES[2], help="rows")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=ROOT / ".recipe" / "development")
    parser.add_argument(
        "--store", default="store", help="below it: one for each that runs at a time"
    )
    options = parser.parse_args(words)
    work = options.work.resolve()
    if options.verb == "table":
        _table(work)
        return 0
    sizes = (*SIZES[:2], options.holdout)
    cases = {case.name: replace(case, sizes=sizes) for case in CASES}
    sources = Sources(data=options.data, packages=work / "packages")
    for seed in options.seeds:
        for name in options.only:
            _say(f"{name}, seed {seed}: {_run(cases[name], seed, sources, work / options.store)}")
    return 0


def _run(case: Case, seed: int, sources: Sources, store: Path) -> str:
    """Run what is missing of a set and a seed; return what it came to."""
    folder = store.parent / case.name / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = case.rows(sources)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    source = {"path": "rows.jsonl", "sha256": sha256(text.encode()).hexdigest()}
    for way in (GATED, OPEN):
        kept = folder / way
        if outcome_of(kept) in ("", *UNFINISHED):
            recipe = _recipe(case, source, seed, labels=case.labels(rows), is_open=way == OPEN)
            path = folder / f"{way}.yaml"
            path.write_text(recipe, encoding="utf-8")
            run, errors = run_recipe(engine_command, path, store)
            if run is None:
                return errors
            keep(run, kept)
        if _file(_report(kept)) is not None:
            break
    prune(store)
    return outcome_of(folder / GATED).replace("_", " ")


def _recipe(
    case: Case, source: dict[str, Any], seed: int, *, labels: tuple[str, ...], is_open: bool
) -> str:
    settings = Settings(base=quickstart_base())
    only = QUANTIZATION if is_open else ""
    text = recipe_of(case, labels=labels, rows=source, seed=seed, settings=settings, only=only)
    recipe: dict[str, Any] = yaml.safe_load(text)
    recipe["baselines"] = ["majority", *BASELINES]
    recipe["export"] |= {"quantization": QUANTIZATION, "calibrate": True}
    if not is_open:
        recipe["acceptance"]["over_baselines"] = {"macro_f1": {"min_gain": 0.0}}
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100)


def _report(folder: Path) -> Report:
    return load_report(folder, store=folder)


def _file(report: Report) -> CalibratedForm | None:
    """Return the calibration of the 4-bit file, None where there is no such file."""
    return next((one for one in report.calibrated if one.form == QUANTIZATION), None)


def _table(work: Path) -> None:
    heads = (
        "set", "seed", "classes", *BASELINES, "tuned", "gain over the better", "outcome", "temperature",
        "ECE before", "ECE after",
    )  # fmt: skip
    _say(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in SETS:
        for folder in sorted((work / name).glob("seed-*")):
            if outcome_of(folder / GATED) not in ("", *UNFINISHED):
                _say(f"| {' | '.join(_cells(name, folder))} |")


def _cells(name: str, folder: Path) -> list[str]:
    report = _report(folder / GATED)
    form = _file(report)
    if form is None and outcome_of(folder / OPEN):
        form = _file(_report(folder / OPEN))
    scores = {one.name: one.scores for one in report.baselines if one.name in BASELINES}
    better = max(scores, key=lambda one: _metric(scores[one].metrics, "macro_f1").value or 0.0)
    gain = next(one for one in report.comparisons if (one.name, one.metric) == (better, "macro_f1"))
    tuned = _metric(report.holdout.metrics, "macro_f1") if report.holdout else None
    found = gain.interval
    return [
        name,
        folder.name.removeprefix("seed-"),
        str(len(report.labels)),
        *(_shown(_metric(scores[one].metrics, "macro_f1")) for one in BASELINES),
        _shown(tuned),
        f"{gain.difference:+.3f}" + (f" [{found.low:+.3f}, {found.high:+.3f}]" if found else ""),
        str(report.outcome).replace("_", " "),
        "-" if form is None or form.temperature is None else f"{form.temperature:.2f}",
        _shown(_metric(form.before, "ece") if form else None),
        _shown(_metric(form.after, "ece") if form else None),
    ]


def _metric(metrics: Sequence[Metric], name: str) -> Metric:
    return next(one for one in metrics if one.name == name)


def _shown(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "-"
    found = metric.interval
    return f"{metric.value:.3f}" + (f" [{found.low:.3f}, {found.high:.3f}]" if found else "")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
