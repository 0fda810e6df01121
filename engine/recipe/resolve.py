"""From a recipe file to a `Recipe`: every problem told at once, every default filled in.

Constant defaults come from the schema; those that depend on other keys stand in `engine.recipe.methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.errors import Problem, RecipeError, Severity
from engine.recipe.baselines import baseline, written_baselines
from engine.recipe.methods import method_of
from engine.recipe.model import (
    Acceptance,
    AnswerSpec,
    Backend,
    Bin,
    Checks,
    ColumnFile,
    Data,
    Export,
    Forgetting,
    LabelSpec,
    MaxDrop,
    MessagesSpec,
    MinGain,
    PairSpec,
    Probe,
    Recipe,
    Sample,
    Source,
    SpanSpec,
    Splits,
    TagSpec,
    Task,
    Threshold,
    Waiver,
)
from engine.recipe.outside import refuse_leading_out, withheld
from engine.recipe.references import reference
from engine.recipe.rules import check_rules
from engine.recipe.rules.kinds import reads_input
from engine.recipe.sweeps import sweep_of
from engine.recipe.text.extends import extended
from engine.recipe.text.globs import listed_sources
from engine.recipe.text.source import Reader, SourceText, read_bytes, read_source
from engine.recipe.validation.schema import check_structure, definition, with_defaults
from engine.trust.judge import NOTHING, Judge
from engine.trust.word import Allowed

OF_ABSENCE: Final = frozenset({"R105", "R111", "R112", "R240", "R246"})
"""What is said of a recipe where something is missing that a parent, or a child, may give."""
_OF_THE_DISK: Final = frozenset({"R250", "R256", "R302", "R309", "R310", "R311"})
"""What is said of this machine and of today, and not of a version that is only compared with."""

Written = Mapping[str, Any]
"""A section of the recipe, checked, with the schema's defaults filled in."""


def load_recipe(
    path: Path, *, read: Reader = read_bytes, given: Allowed = NOTHING
) -> tuple[Recipe, tuple[Problem, ...]]:
    """Return the recipe and its warnings; RecipeError with every problem when one is an error.

    `read` and `given`: see `check_recipe`.
    """
    recipe, problems = check_recipe(path, read=read, given=given)
    if recipe is None:
        raise RecipeError(problems)
    return recipe, problems


def check_recipe(
    path: Path, *, read: Reader = read_bytes, given: Allowed = NOTHING
) -> tuple[Recipe | None, tuple[Problem, ...]]:
    """Return the recipe, or None where it has errors, and every problem in file order.

    Never raises on a wrong recipe, not even on a file that cannot be read.

    `read` gives the bytes of a recipe file: of `path`, and of the parent that it extends, whose path
    is built from `path` as it was given (`a/b.yaml` that extends `../c.yaml` asks for `c.yaml`). It
    raises FileNotFoundError, or RecipeError with a problem of its own. With a reader other than the
    disk's (a revision of a repository), nothing is said about files that the recipe names: they are
    those of another time. A pattern that matches nothing now is then one source, the pattern itself.

    `given` is what the user allows for this call beyond the recipe's project, besides what the user keeps.
    What is outside and not allowed is a warning (a parent: an error), is not read, and in the recipe it is `withheld`.
    """
    try:
        if read is read_bytes:
            refuse_leading_out(path, given)
        child = replace(read_source(path, read=read), given=given)
    except RecipeError as error:
        return None, error.problems
    found = extended(child, read=read)
    if found.problems:
        return None, _alone(child, found.problems)
    return _checked(found.source, on_disk=read is read_bytes)


def _checked(source: SourceText, *, on_disk: bool) -> tuple[Recipe | None, tuple[Problem, ...]]:
    filled = with_defaults(source.value)
    structure = source.problems + check_structure(source)
    told = structure + check_rules(source, filled, structure)
    problems = tuple(
        sorted((p for p in told if on_disk or p.code not in _OF_THE_DISK), key=_order(source))
    )
    if any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
    return withheld(resolve(source, filled), source.judge), problems


def _alone(child: SourceText, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return why a parent could not be merged, and what is wrong with the child whatever it says."""
    own = child.problems + tuple(p for p in check_structure(child) if p.code not in OF_ABSENCE)
    return tuple(sorted((*own, *problems), key=_order(child)))


def _order(source: SourceText) -> Callable[[Problem], tuple[bool, int, int, str]]:
    """Return the order of problems: those of the file, then those of its parent, each by place."""

    def position(problem: Problem) -> tuple[bool, int, int, str]:
        place = problem.place
        if place is None or place.line is None:
            return (False, 0, 0, problem.code)
        return (place.file != source.file, place.line, place.column or 0, problem.code)

    return position


def resolve(source: SourceText, filled: Written) -> Recipe:
    """Return the recipe that a checked file, with defaults filled in, stands for."""
    folder = source.path.parent
    return Recipe(
        name=filled["name"],
        description=filled["description"],
        file=source.path,
        extends=filled.get("extends", ""),
        allow_moving=filled["allow_moving"],
        task=_task(filled["task"], reads_input=reads_input(filled)),
        base_model=reference(filled["base_model"], folder),
        data=_data(filled["data"], folder, source.judge),
        splits=_splits(filled["splits"]),
        baselines=tuple(baseline(item, folder) for item in written_baselines(filled)),
        stop_if_baseline_passes=filled["stop_if_baseline_passes"],
        learning_curve=filled["learning_curve"],
        method=method_of(filled["method"], has_validation=filled["splits"].get("validation") != 0),
        sweep=sweep_of(filled),
        acceptance=_acceptance(filled["acceptance"], folder),
        export=_export(filled["export"]),
        backend=_backend(filled["backend"]),
        waivers=tuple(Waiver(**waiver) for waiver in filled["waivers"]),
    )


def _task(written: Written, *, reads_input: bool) -> Task:
    return Task(
        kind=written["kind"],
        instruction=written["instruction"],
        system=written["system"],
        input=written["input"] if reads_input else "",
        labels=tuple(written.get("labels", ())),
        schema=written.get("schema"),
        output=written["output"],
        out_of_scope=written["out_of_scope"],
        answer_pattern=written["answer_pattern"],
        max_new_tokens=int(written["max_new_tokens"]),
    )


def _data(written: Written, folder: Path, judge: Judge) -> Data:
    sample = written.get("sample")
    return Data(
        sources=tuple(
            _source(one, folder)
            for source in written["sources"]
            for one in _files(source, folder, judge)
        ),
        shape=written["shape"],
        label=_label(written["label"]) if "label" in written else None,
        answer=_answer(written["answer"]) if "answer" in written else None,
        messages=_messages(written["messages"]) if "messages" in written else None,
        pair=PairSpec(**written["pair"]) if "pair" in written else None,
        sample=None
        if sample is None
        else Sample(rows=int(sample["rows"]), seed=int(sample["seed"])),
        checks=Checks(**written["checks"]),
    )


def _files(written: Written, folder: Path, judge: Judge) -> list[Written]:
    """Return a source once for each file of its pattern; itself where that matches nothing now."""
    try:
        found = list(listed_sources([written], folder, judge=judge))
    except (OSError, ValueError):
        found = []
    return found or [{**written, "pattern": written.get("path", "")}]


def _source(written: Written, folder: Path) -> Source:
    return Source(
        ref=reference(written, folder),
        format=written["format"],
        header=tuple(written["header"]),
        encoding=written["encoding"],
        quoting=written["quoting"],
        config=written["config"],
        split=written["split"],
        hub_file=written.get("file", "") if "hub" in written else "",
        records=written["records"],
        explode=written["explode"],
        columns=tuple(
            _column(name, file, written, folder) for name, file in written["columns"].items()
        ),
        weight=float(written["weight"]),
        into=written.get("into", ""),
    )


def _column(name: str, file: str, source: Written, folder: Path) -> ColumnFile:
    """Return a file beside a source: from the same folder of recipes, archive or repository."""
    if "path" in source:
        ref = reference({"path": file}, folder)
    else:
        ref = reference({**source, **({"file": file} if "package" in source else {})}, folder)
    return ColumnFile(column=name, written=file, ref=ref)


def _label(written: Written) -> LabelSpec:
    bins = (
        Bin(label=label, min=_real(ends.get("min")), max=_real(ends.get("max")))
        for label, ends in written["bins"].items()
    )
    return LabelSpec(
        column=written["column"],
        relabel=tuple(written["relabel"].items()),
        bins=tuple(bins),
        separator=written["separator"],
    )


def _answer(written: Written) -> AnswerSpec:
    spans, tags = written.get("spans"), written.get("tags")
    return AnswerSpec(
        column=written["column"],
        references=tuple(written["references"]),
        fields=tuple(written["fields"].items()),
        spans=None if spans is None else SpanSpec(**spans),
        tags=None if tags is None else TagSpec(**tags),
    )


def _messages(written: Written) -> MessagesSpec:
    return MessagesSpec(**{**written, "roles": tuple(written["roles"].items())})


def _real(number: float | None) -> float | None:
    return None if number is None else float(number)


def _splits(written: Written) -> Splits:
    way, folds = written["by"], int(written["folds"])
    by, column = next(iter(way.items())) if isinstance(way, dict) else (way, "")
    return Splits(
        by=by,
        column=column,
        train=written.get("train", "all"),
        validation=written.get("validation", "all"),
        holdout=1 / folds if folds else written.get("holdout", "all"),
        folds=folds,
        seed=int(written["seed"]),
    )


def _thresholds(written: Written) -> tuple[Threshold, ...]:
    return tuple(
        Threshold(metric=metric, direction=direction, bound=float(bound))
        for metric, bounds in written.items()
        for direction, bound in bounds.items()
        if direction in ("min", "max")
    )


def _acceptance(written: Written, folder: Path) -> Acceptance:
    gains = written["over_baselines"].items()
    overfitting, forgetting = written.get("overfitting"), written.get("forgetting")
    return Acceptance(
        confidence=float(written["confidence"]),
        decide_on=written["decide_on"],
        metrics=_thresholds(written["metrics"]),
        over_baselines=tuple(
            MinGain(metric=metric, min_gain=float(gain["min_gain"])) for metric, gain in gains
        ),
        max_overfitting_gap=None if overfitting is None else float(overfitting["max_gap"]),
        over_previous=_drops(written["over_previous"]),
        forgetting=None if forgetting is None else _forgetting(forgetting, folder),
    )


def _drops(written: Written) -> tuple[MaxDrop, ...]:
    return tuple(
        MaxDrop(metric=metric, max_drop=float(bound["max_drop"]))
        for metric, bound in written.items()
        if "max_drop" in bound
    )


def _forgetting(written: Written, folder: Path) -> Forgetting:
    return Forgetting(
        probes=tuple(_probe(probe, folder) for probe in written["probes"]),
        max_drop=float(written["max_drop"]),
    )


def _probe(written: Any, folder: Path) -> Probe:  # noqa: ANN401 - a word or a mapping
    if isinstance(written, str):
        return Probe(name=written, kind="builtin")
    own = ("name", "kind", "limit", "columns")
    place = {key: value for key, value in written.items() if key not in own}
    source = with_defaults(place, definition("source"))
    return Probe(
        name=written["name"],
        kind=written["kind"],
        source=_source(source, folder),
        limit=int(written["limit"]),
        columns=tuple(written["columns"].items()),
    )


def _export(written: Written) -> Export:
    bounds, named = written["after_quantization"], written["quantization"]
    return Export(
        formats=tuple(written["formats"]),
        quantizations=(named,) if isinstance(named, str) else tuple(named),
        max_drops=_drops(bounds),
        thresholds=_thresholds(bounds),
        importance_matrix=written["importance_matrix"],
        min_parity=float(written["parity"]["agreement"]["min"]),
    )


def _backend(written: Written) -> Backend:
    return Backend(
        name=written["name"],
        precision=written["precision"],
        overrides=tuple(written["overrides"].items()),
    )
