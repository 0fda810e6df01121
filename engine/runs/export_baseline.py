"""Export of a run's baseline as a folder that labels rows without this package: `recipe export baseline`."""

import json
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.artifacts.results import load_baselines, read_json
from engine.data.examples.example import read_examples
from engine.data.examples.template import parse_template
from engine.data.splitting.subsets import Fold
from engine.environment import detect_device, version_of
from engine.errors import RecipeError, StageError
from engine.evidence import BaselineResult, Report, StageStatus
from engine.files.writing import new_folder
from engine.inference.baselines.exported_model import (
    REQUIRED,
    TFIDF,
    ExportInputs,
    require_skops,
    write_model,
)
from engine.inference.baselines.runner import named_errors, reference_name
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.process.start import script
from engine.progress import Progress
from engine.recipe.baselines import EXPORTABLE
from engine.recipe.model import Baseline, PathRef, Recipe
from engine.recipe.text.dump import recipe_digest, resolved_mapping
from engine.recipe.text.paths import absolute
from engine.render.report.card import BaselineCard, baseline_card
from engine.runs.stored_run import LOST, MAKES_IT, StoredRun
from engine.runtime.tool_process import run_tool
from engine.sources import identity
from engine.sources.local import DigestMemory
from engine.store import Artifact, Store, sha256_of
from engine.values import Value, replace

SUMS = "SHA256SUMS"
STAGE = "baseline"
_DONE = (StageStatus.RAN, StageStatus.REUSED)


class JudgedBaseline(Value):
    recipe: Recipe
    report: Report
    baseline: Baseline
    result: BaselineResult
    facts: Mapping[str, Any]
    predictions: list[Prediction]
    fold: Fold
    references: Mapping[str, Mapping[str, Any]]
    """Identity of the models of the stage, by name."""


class ExportedBaseline(Value):
    folder: Path
    name: str
    rows: int
    files: Mapping[str, str]
    bytes: int
    """Bytes of all its files: a report has only the size of the encoder."""


def export_baseline(
    run: Path, store: Store, *, name: str, target: Path | None, beside: Path, progress: Progress
) -> ExportedBaseline:
    """Write the folder of a baseline; an empty `name` is that of the best one that passes.

    Without a target the folder is `RECIPE-BASELINE` in the current one. `beside` is the recipe's folder, to which the
    path of an encoder is relative.

    RecipeError X697 the run has no such baseline to export, X699 something is at `target`; StageError X698 the folder
    does not give the judged answers, or as the baseline itself; StoreError E751, E758, X699; EnvironmentProblem E701.
    """
    judged = read_judged(run, store, name=name)
    target = target or Path(f"{judged.recipe.name}-{judged.baseline.name}")
    require_skops(judged.baseline.kind)
    with new_folder(target, code="X699", option="-o FOLDER") as folder:
        _write(folder, judged, store, beside=beside, progress=progress)
        _refuse_other_answers(folder, judged)
        _describe(folder, judged)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
        text = "".join(f"{digest}  {name}\n" for name, digest in files.items())
        (folder / SUMS).write_text(text, encoding="utf-8")
        size = sum(path.stat().st_size for path in (*paths, folder / SUMS))
    return ExportedBaseline(
        folder=target,
        name=judged.baseline.name,
        rows=len(judged.predictions),
        files=files,
        bytes=size,
    )


def read_judged(folder: Path, store: Store, *, name: str) -> JudgedBaseline:
    """Return the results of a baseline, and the rows that it was judged on. Raises as `export_baseline`."""
    run = StoredRun(folder, store, refused="nothing of it is exported")
    recipe, report = run.recipe, run.report
    if recipe.splits.folds:
        why = f"each row was judged by one of {recipe.splits.folds} models, none of which is the one to ship"
        raise _nothing(why, "run the recipe with a holdout in place of splits.folds")
    made = _artifact(run, STAGE)
    entries = {str(entry["name"]): entry for entry in read_json(made, "baselines.json")}
    results = {one.name: one for one in load_baselines(made.file("baselines.json"), recipe)}
    baseline = _chosen(recipe, results, name)
    result = results[baseline.name]
    if result.scores not in [one.scores for one in report.baselines if one.name == baseline.name]:
        why = "the store holds other results than its report"
        raise _nothing(why, "recipe run RECIPE makes both anew")
    data = _artifact(run, "data")
    if run.holdout is None:
        raise _nothing(LOST.format("data"), MAKES_IT)
    train, holdout = (
        tuple(read_examples(one.file(f"{split}.jsonl")))
        for one, split in ((data, "train"), (run.holdout, "holdout"))
    )
    return JudgedBaseline(
        recipe=recipe,
        report=report,
        baseline=baseline,
        result=result,
        facts=entries[baseline.name].get("facts", {}),
        predictions=read_predictions(made.file(f"predictions.{baseline.name}.jsonl")),
        fold=Fold(number=0, train=train, validation=(), judged=holdout),
        references=run.record["payloads"][STAGE].get("references", {}),
    )


def _artifact(run: StoredRun, stage: str) -> Artifact:
    if run.record.get("stages", {}).get(stage, {}).get("status") not in _DONE:
        why = f"the run ended before stage {stage} was done"
        raise _nothing(why, "recipe run RECIPE resumes it; or name a finished run: recipe runs")
    result = run.result_of(stage) if stage in run.record.get("payloads", {}) else None
    if result is None:
        raise _nothing(LOST.format(stage), MAKES_IT)
    return result


def _chosen(recipe: Recipe, results: Mapping[str, BaselineResult], name: str) -> Baseline:
    known = {
        one.name: one for one in recipe.baselines if one.kind in EXPORTABLE and one.name in results
    }
    if name in known:
        return known[name]
    hint = f"name one of them: --baseline {' | '.join(known)}" if known else None
    if name or not known:
        kinds = ", ".join(EXPORTABLE)
        what = f"`{name}` is none of its baselines" if name else "it has no baseline"
        if name in {one.name for one in recipe.baselines} - results.keys():
            why = f"`{name}` was left out, as its encoder could not be fetched"
            raise _nothing(why, "recipe run RECIPE --force baseline, and export that run")
        raise _nothing(f"{what} that can be exported ({kinds})", hint)
    judging = Judging.of(recipe)
    sign = -1 if judging.is_lower_better(judging.main) else 1
    values = {
        one: results[one].scores.metric(judging.main).value for one in known if results[one].passes
    }
    if not values:
        raise _nothing("no baseline of it passes", hint)
    return known[max(values, key=lambda one: sign * (values[one] or 0.0))]


def _write(
    folder: Path, judged: JudgedBaseline, store: Store, *, beside: Path, progress: Progress
) -> None:
    recipe, baseline = judged.recipe, judged.baseline
    encoder = None
    if baseline.ref is not None:
        from engine.runtime.encoders.encoder import load_encoder, locate_encoder  # torch

        # As many threads as in the run: another number can round otherwise.
        threads = int(judged.report.environment.get("threads", 0))
        device = replace(detect_device(), held_threads=threads)
        with named_errors(baseline):
            ref, where = baseline.ref, "it"
            # the run has the path as written, relative to the recipe
            if isinstance(ref, PathRef):
                ref, where = replace(ref, path=absolute(ref.written, beside)), f"`{ref.written}`"
            now = identity(ref, DigestMemory(store.root / "digests.json"))
            if now != judged.references.get(reference_name(baseline)):
                raise _nothing(
                    f"{where} is not the encoder that was judged",
                    "put its files back, or run the recipe again",
                )
            encoder = load_encoder(
                locate_encoder(ref, store.cached, progress),
                device=device,
                precision=device.precision(recipe.backend.precision),
            )
    inputs = ExportInputs(
        kind=baseline.kind,
        task=recipe.task,
        fold=judged.fold,
        seed=recipe.splits.seed,
        facts=judged.facts,
        encoder=encoder,
    )
    with named_errors(baseline):
        write_model(folder, inputs, progress)


def _refuse_other_answers(folder: Path, judged: JudgedBaseline) -> None:
    """StageError X698 where the folder's own program does not give the judged answers."""
    answers: list[str] = []
    with tempfile.TemporaryDirectory(prefix="recipe-") as place:
        asked = Path(place) / "holdout.jsonl"
        texts = (json.dumps(row.input) for row in judged.fold.judged)
        asked.write_text("".join(f"{text}\n" for text in texts), encoding="ascii")
        program = script(folder / "predict.py")(str(asked))
        run_tool(
            program,
            code="X698",
            tool="the exported predict.py",
            reads=(folder, asked),
            on_line=answers.append,
        )
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    given = [prediction.label for prediction in judged.predictions]
    ids = [prediction.id for prediction in judged.predictions]
    if ids != [row.id for row in judged.fold.judged] or answers != given:
        other = sum(one != two for one, two in zip(given, answers, strict=False))
        counted = f"{other or abs(len(given) - len(answers))} of {len(given)} holdout rows"
        raise StageError.one(
            "X698",
            f"`{judged.baseline.name}` answers {counted} otherwise than the run judged",
            hint="run the recipe again with --force baseline, and export that run",
        )


def _describe(folder: Path, judged: JudgedBaseline) -> None:
    versions = {name: version_of(name) or "" for name in REQUIRED[judged.baseline.kind]}
    # a local part names a build (`+cpu`), and indexes hold it under the plain version
    pins = "".join(
        f"{name}=={version.partition('+')[0]}\n" for name, version in sorted(versions.items())
    )
    python = platform.python_version()
    head = f"# What predict.py was checked with, in Python {python}."
    (folder / "requirements.txt").write_text(f"{head}\n{pins}", encoding="utf-8")
    found = judged.references.get(reference_name(judged.baseline), {})
    card = BaselineCard(
        report=judged.report,
        baseline=judged.result,
        recipe_digest=recipe_digest(resolved_mapping(judged.recipe)),
        python=python,
        columns=parse_template(judged.recipe.task.input).columns,
        has_words=(folder / TFIDF).exists(),
        is_masked=judged.recipe.data.checks.personal_data == "mask",
        encoder={name: str(value) for name, value in found.items() if value is not None},
    )
    (folder / "README.md").write_text(baseline_card(card), encoding="utf-8")


def _nothing(why: str, hint: str | None) -> RecipeError:
    return RecipeError.one("X697", f"no baseline to export: {why}", hint=hint)
