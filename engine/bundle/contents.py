"""What a bundle says, as values: report, lock and recipe, read as what a stranger may have written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.bundle.row_table import ROWS, read_rows
from engine.bundle.tar_archive import Member
from engine.errors import EngineError, RecipeError
from engine.evidence import Report, Scores
from engine.inference.exported_files import ADAPTER
from engine.kinds import AnswerForm
from engine.lock.file import Accepted, Lock, lock_from_text
from engine.process import __version__
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.recipe.text.source import parse_source
from engine.render.report.page import read_json
from engine.store.records import BUNDLED_LOCK
from engine.values import Value, brief_text, replace, to_json

if TYPE_CHECKING:
    from engine.metrics.table import RowStatistics

LEFT_OUT: Final = (
    "Texts of rows are left out of this bundle: findings name their places, "
    "changed answers are numbered, wrong rows are not shown."
)
_OF_CLASSES: Final = ("imbalance", "missing_classes", "splits")
"""Checks whose examples name classes or splits, and quote no row."""
_PLACE: Final = re.compile(r"[^`]*?:\d+(?= |$)")
"""Where a row stands, which an example of a finding begins with: `reviews.csv:17`."""


def without_row_texts(report: Report, recipe: Recipe) -> Report:
    """Return the report with no text of a row in it; the very one where it has none."""
    data, flips, ladder = report.data, report.flips, report.ladder
    if data is not None:
        places = {
            one: tuple(found[0] for found in map(_PLACE.match, one.examples) if found)
            for one in data.findings
            if one.check not in _OF_CLASSES
        }
        findings = (replace(one, examples=places.get(one, one.examples)) for one in data.findings)
        data = replace(data, findings=tuple(findings))
    # where answers are labels of the task, they are no texts
    if recipe.task.spec.answer not in (AnswerForm.LABEL, AnswerForm.LABELS):
        flips = tuple({**one, **_numbered(one, "target", "merged", "quantized")} for one in flips)
        ladder = tuple(
            replace(
                rung,
                flips=tuple(
                    replace(one, **_numbered(to_json(one), "target", "before", "after"))
                    for one in rung.flips
                ),
            )
            for rung in ladder
        )
    found = replace(report, data=data, flips=flips, ladder=ladder, mistakes=())
    return report if found == report else replace(found, notes=(*found.notes, LEFT_OUT))


def has_row_texts(report: Report, recipe: Recipe) -> bool:
    return without_row_texts(report, recipe) is not report


def _numbered(flip: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return `answer 1` for each answer, with equal numbers for equal ones; None for none."""
    known: dict[Any, Any] = {None: None, **{f"answer {n}": f"answer {n}" for n in range(1, 4)}}
    plain = len(known)
    found = {}
    for name in names:
        answer = flip.get(name)
        found[name] = known.setdefault(answer, f"answer {len(known) - plain + 1}")
    return found


RESOLVED, WRITTEN, CONFIG = "recipe.resolved.yaml", "recipe.yaml", "backend-config.yaml"
REPORT = "report.json"
EVIDENCE = ("README.md", CONFIG, RESOLVED, WRITTEN, BUNDLED_LOCK, "report.html", REPORT)
"""Files of a run folder that every bundle holds."""
STATEMENT, KEY = "statement.dsse.json", "signer.pem"
MODEL = "model"
"""The folder of the model's files in a bundle that holds them."""
_NOWHERE = Path("/nonexistent") if Path("/").is_absolute() else Path("nonexistent")
"""Where the recipe of a bundle stands as far as its paths are concerned: none of them is looked at."""
_MAGIC = re.compile(r"[*?\[]")


class ContentsError(ValueError):
    """A file of a bundle is not what the engine writes; the message names the file and why."""


class Contents(Value):
    members: Mapping[str, Member]
    report: Report
    lock: Lock
    accepted: Accepted
    recipe: Recipe
    resolved: Mapping[str, Any]
    statement: Mapping[str, Any]
    rows: Mapping[str, RowStatistics] | None = None
    """Of each model's answers; None where the bundle carries none, as those of earlier versions."""

    @property
    def is_of_this_version(self) -> bool:
        """Whether the run was made by this very version, which then says the same in the same words."""
        return self.report.versions.get("slm-recipe") == __version__

    @property
    def held(self) -> Scores | None:
        """The scores of the recorded holdout; with folds the report's are of all rows, and the first rung has these."""
        if not self.recipe.splits.folds:
            return self.report.holdout
        return next((one.scores for one in self.report.ladder if one.name == ADAPTER), None)

    @property
    def written_with(self) -> str | None:
        """The version that wrote the pages, by the statement; None where it says none."""
        version = self.statement["predicate"].get("pages_written_with")
        return version if isinstance(version, str) else None

    def text(self, name: str) -> str:
        return text_of(self.members, name)


def pages_of() -> Mapping[str, Callable[[Report], str]]:
    from engine.render.report.card import render_card
    from engine.render.report.page import render_html

    return {"README.md": render_card, "report.html": render_html}


def read_contents(members: Mapping[str, Member], statement: Mapping[str, Any]) -> Contents:
    """Return what the members say. ContentsError for the first that cannot be read."""
    text = text_of(members, REPORT)
    try:
        report = read_json(text)
    except ValueError as error:
        raise ContentsError(f"{REPORT} is no report: {brief_text(str(error))}") from error
    try:
        lock = lock_from_text(Path(BUNDLED_LOCK), text_of(members, BUNDLED_LOCK))
    except EngineError as error:
        raise ContentsError(_first(error)) from error
    if lock.accepted is None:
        raise ContentsError(f"{BUNDLED_LOCK} holds no accepted run")
    resolved = value_of(members, RESOLVED)
    rows = None
    if ROWS in members:
        try:
            rows = read_rows(bytes_of(members, ROWS))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ContentsError(f"{ROWS} is no table of rows: {brief_text(str(error))}") from error
    return Contents(
        members=members,
        report=report,
        lock=lock,
        accepted=lock.accepted,
        recipe=recipe_of(bytes_of(members, RESOLVED), RESOLVED),
        resolved=resolved,
        statement=statement,
        rows=rows,
    )


def value_of(members: Mapping[str, Member], name: str) -> Mapping[str, Any]:
    """Return the mapping that a recipe file of the bundle holds. ContentsError where it is none."""
    try:
        value = parse_source(bytes_of(members, name), _NOWHERE / name).value
    except (RecipeError, RecursionError) as error:
        raise ContentsError(f"{name} is no recipe: {_first(error)}") from error
    data = value.get("data")
    sources = data.get("sources") if isinstance(data, dict) else None
    for source in sources if isinstance(sources, list) else []:
        path = source.get("path") if isinstance(source, dict) else None
        if isinstance(path, str) and _MAGIC.search(path) and Path(path).is_absolute():
            raise ContentsError(f"{name} names files by an absolute pattern")
    return value


def recipe_of(content: bytes, name: str) -> Recipe:
    """Return the recipe of a text, without a look at the files that it names. ContentsError where it is none."""
    path = _NOWHERE / name

    # the only reader that the recipe gets: nothing of this machine is read for a stranger's text, `extends` included
    def read(asked: Path) -> bytes:
        if asked != path:
            raise FileNotFoundError(asked)
        return content

    try:
        return load_recipe(path, read=read)[0]
    except (EngineError, RecursionError) as error:
        raise ContentsError(f"{name} is no valid recipe: {_first(error)}") from error


def text_of(members: Mapping[str, Member], name: str) -> str:
    try:
        return bytes_of(members, name).decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ContentsError(f"{name} is not UTF-8") from error


def bytes_of(members: Mapping[str, Member], name: str) -> bytes:
    member = members.get(name)
    if member is None or member.data is None:
        raise ContentsError(f"{name} is missing")
    return member.data


def _first(error: Exception) -> str:
    if isinstance(error, EngineError):
        return error.problems[0].message
    return "nested too deep"
