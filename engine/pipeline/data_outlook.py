"""What is known of local data before a run: the shape of each file, and what new rows do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.examples import template
from engine.data.examples.chat_formats import shape_of
from engine.data.membership import Membership
from engine.data.reading.row import excerpt
from engine.data.reading.sources import Fetched, fetch_all, read_all, source_names
from engine.errors import DataError
from engine.evidence import DataSummary
from engine.recipe.model import PathRef, Recipe, Source
from engine.recipe.text.paths import format_of
from engine.render.progress import SilentProgress
from engine.store import Artifact
from engine.values import replace

if TYPE_CHECKING:
    from engine.data.prepare import Prepared

MOST_BYTES = 20_000_000
"""Of all sources, up to which a plan reads the rows to say what the new ones do."""
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
    near = [(name, source) for name, source in named if _is_light(source)]
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


def _is_light(source: Source) -> bool:
    return _format(source) not in (None, "parquet")


def _format(source: Source) -> str | None:
    """The format of a local file; None of anything else, and of a file that may not be read."""
    if not isinstance(source.ref, PathRef) or source.ref.withheld:
        return None
    if any(isinstance(one.ref, PathRef) and one.ref.withheld for one in source.columns):
        return None
    return format_of(source.ref.path.name, source.format)


def _far(_name: str, _payload: Mapping[str, Any], _build: Callable[[Path], object]) -> Artifact:
    raise _FarError
