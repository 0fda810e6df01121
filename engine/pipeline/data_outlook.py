"""Facts on local data before a run: the shape of each file, and the effect of new rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts.results import baselines
from engine.data.examples import template
from engine.data.examples.chat_formats import shape_of
from engine.data.membership import Membership
from engine.data.reading.row import excerpt
from engine.data.reading.sources import Fetched, fetch_all, read_all, source_names
from engine.errors import DataError, Problem
from engine.evidence import DataSummary
from engine.lock.previous import answers_of
from engine.metrics.families.fields import is_right
from engine.metrics.power_text import Discordance, JudgingRows, PowerEstimates, estimate_power
from engine.metrics.predictions import read_predictions
from engine.metrics.scoring import named_metrics
from engine.recipe.baselines import UNTRAINED
from engine.recipe.metrics import is_lower_better
from engine.recipe.model import PathRef, Recipe, Source
from engine.recipe.text.paths import format_of
from engine.render.progress_display import SilentProgress
from engine.store import Artifact
from engine.values import replace

if TYPE_CHECKING:
    from engine.data.prepare import Prepared

UNCOUNTED = "What the holdout can show is known after data: its rows are not counted yet."


def power_estimates(
    recipe: Recipe, summary: DataSummary | None, *, discordance: Discordance | None = None
) -> PowerEstimates:
    if not recipe.acceptance.metrics:
        return PowerEstimates()
    splits = recipe.splits
    judges = None if summary is None else JudgingRows.of(summary)
    # a number of rows is known before they are read, a fraction is not
    is_counted = isinstance(splits.holdout, int) and splits.holdout > 0 and not splits.folds
    if summary is None and is_counted:
        judges = JudgingRows(rows=int(splits.holdout))
    if judges is None:
        return PowerEstimates(note=UNCOUNTED)
    return estimate_power(
        recipe.acceptance,
        recipe.task,
        judges,
        has_baselines=bool(recipe.baselines),
        discordance=discordance,
    )


def too_few_groups(recipe: Recipe, found: PowerEstimates) -> tuple[Problem, ...]:
    splits = recipe.splits
    others = "" if splits.folds else ", let all groups judge (`splits.folds`)"
    if isinstance(splits.holdout, float):
        others += ", write sizes as numbers of rows (they take many small groups)"
    return tuple(
        Problem(
            code="D437",
            message=f"can never pass: {one.sentence.removesuffix('.')}",
            path=f"acceptance.metrics.{one.metric}",
            hint=f"add groups{others} or lower the bound",
        )
        for one in found.estimates
        if one.is_out_of_reach
    )


def measured_discordance(recipe: Recipe, artifacts: Mapping[str, Artifact]) -> Discordance | None:
    """Return on which share of rows only one of the tuned model and the best baseline is right.

    Before the model is trained, the untrained base model is its stand-in, where it has answered. None before two
    models have, and for kinds without one right answer a row.
    """
    gains, (stage, file) = recipe.acceptance.over_baselines, answers_of(recipe)
    if not gains or not recipe.task.spec.has_one_answer or "baseline" not in artifacts:
        return None
    answers = {
        found.name.split(".", 1)[1].removesuffix(".jsonl"): _right(found)
        for found in artifacts["baseline"].path.glob("predictions.*.jsonl")
    }
    # By what they reach on the first metric of `over_baselines`, the best first.
    metric, kind = gains[0].metric, recipe.task.kind
    reached = {one.name: named_metrics(one.scores)[metric] for one in baselines(artifacts, recipe)}
    known = {name: one.value for name, one in reached.items() if one.value is not None}
    order = sorted(known, key=known.__getitem__, reverse=not is_lower_better(metric, kind))
    answers = {name: answers[name] for name in order if name in answers}
    stand_in = next((name for name in reversed(UNTRAINED) if name in answers), None)
    if stage in artifacts:
        model, words = _right(artifacts[stage].file(file)), "measured, the tuned model against {}"
    elif stand_in is not None:
        model = answers.pop(stand_in)
        words = f"`{stand_in}` against {{}}, a stand-in until the model is trained"
    else:
        return None
    shares = {
        name: sum(hit != model.get(key) for key, hit in asked.items()) / len(asked)
        for name, asked in answers.items()
        if asked
    }
    found = [Discordance(share=shares[one], source=words.format(f"`{one}`")) for one in shares]
    return found[0] if found else None


def _right(file: Path) -> dict[str, bool]:
    return {row.id: is_right(row) for row in read_predictions(file)}


MOST_BYTES = 20_000_000
"""Bytes of all sources up to which a plan reads the rows to describe the new ones."""
WATCHING = (
    "leakage",
    "imbalance",
    "near_duplicates",
    "label_errors",
    "missing_classes",
    "output_format",
    "mojibake",
    "control_characters",
    "personal_data",
    "languages",
    "template_tokens",
    "label_in_input",
)
"""Checks that move no row unless they say `drop` (or `mask`)."""
HEAVY = ("languages", "label_errors")
"""Checks that need libraries or models that a plan does not load."""
MOST_COLUMNS = 6
MOST_SOURCES = 8


class _FarError(Exception):
    pass


def shapes(recipe: Recipe) -> list[tuple[str, str]]:
    sources = recipe.data.sources
    named = list(zip(source_names(sources), sources, strict=True))
    near = [(name, source) for name, source in named if (_format(source) not in (None, "parquet"))]
    formats = [(name, _shape(source, recipe)) for name, source in near[:MOST_SOURCES]]
    more = len(near) - len(formats)
    return [*formats, *([("…", f"{more} more {'file' if more == 1 else 'files'}")] if more else [])]


def outlook(recipe: Recipe, recorded: Membership | None) -> DataSummary | None:
    """What a run would count; None where only a run can tell.

    That is where a source is not a local file, the files are larger than `MOST_BYTES` together,
    a heavy check leaves rows out, or the rows cannot be read or divided.
    """
    prepared = divided(recipe, recorded, most_bytes=MOST_BYTES)
    return None if prepared is None else prepared.summary


def divided(
    recipe: Recipe,
    recorded: Membership | None,
    *,
    most_bytes: int,
    with_extras: bool = False,
    refused: bool = False,
) -> Prepared | None:
    """The splits as a run would draw them; None where only a run can tell: see `outlook`.

    `with_extras` reads Parquet and languages too, by libraries that a plan does not load, where they are installed;
    `refused` returns what a run would refuse too, with its problems.
    """
    sources, checks = recipe.data.sources, recipe.data.checks
    unread = {None, "parquet"}
    if with_extras and find_spec("pyarrow") is not None:
        unread = {None}
    if any(_format(one) in unread for one in sources):
        return None
    try:
        sizes = [one.ref.path.stat().st_size for one in sources if isinstance(one.ref, PathRef)]
    except OSError:
        sizes = [most_bytes + 1]  # what cannot be measured counts as too large
    if sum(sizes) > most_bytes:
        return None
    has_languages = with_extras and find_spec("py3langid") is not None
    heavy = ("label_errors",) if has_languages else HEAVY
    if any(getattr(checks, check) == "drop" for check in heavy):
        return None
    # ftfy is an extra: a plan or a review without it leaves such rows to the run.
    if checks.mojibake == "drop" and find_spec("ftfy") is None:
        return None
    from engine.data.prepare import prepare  # only where there are rows to look at

    progress = SilentProgress()
    quiet: dict[str, Any] = {
        name: "off" for name in WATCHING if getattr(checks, name) in ("warn", "fail")
    }
    try:
        fetched = fetch_all(sources, _far, progress)
        prepared = prepare(
            read_all(fetched, progress),
            recipe.task,
            # with only those checks left that can move a row: a run will do the others
            data=replace(recipe.data, checks=replace(checks, **quiet)),
            splits=recipe.splits,
            recorded=recorded,
            refuse=False,
            thorough=False,
        )
    except (DataError, OSError, _FarError):
        return None
    return None if prepared.problems and not refused else prepared


def _shape(source: Source, recipe: Recipe) -> str:
    from engine.data.reading.readers import read_rows  # only where there are rows

    try:
        (fetched,) = fetch_all([source], _far, SilentProgress())
        rows = read_rows(fetched.path, fetched.source, beside=fetched.beside, name=fetched.name)
        first = next(rows).values  # the rest of the file is not read
        shape = shape_of(recipe.task, recipe.data, first)
    except DataError as error:
        return error.problems[0].message
    except (OSError, _FarError):
        return "read when it runs"
    if shape != "columns":
        return shape
    names = [excerpt(str(name)) for name in first]
    more = ", …" if len(names) > MOST_COLUMNS else ""
    return f"columns {', '.join(names[:MOST_COLUMNS])}{more}{_lacking(fetched, first, recipe)}"


def _lacking(fetched: Fetched, first: Mapping[str, Any], recipe: Recipe) -> str:
    optional = template.optional_columns(recipe.data)
    lacking = [
        f"`{excerpt(column)}` ({key})"
        for column, key in template.columns_named(recipe.task, recipe.data, recipe.splits)
        if column not in optional and not template.has_column(first, column)
    ]
    if not lacking:
        return ""
    file, labels = fetched.path.name, recipe.task.labels
    is_headless = template.is_without_header(file, list(first), labels)
    return f"; none is {' or '.join(lacking)}{f': {template.NO_HEADER}' if is_headless else ''}"


def _format(source: Source) -> str | None:
    """The format of a local file; None of anything else, and of a file that may not be read."""
    if not isinstance(source.ref, PathRef) or source.ref.withheld:
        return None
    if any(isinstance(one.ref, PathRef) and one.ref.withheld for one in source.columns):
        return None
    return format_of(source.ref.path.name, source.format)


def _far(_name: str, _payload: Mapping[str, Any], _build: Callable[[Path], object]) -> Artifact:
    raise _FarError
