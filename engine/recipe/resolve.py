"""From a recipe file to a `Recipe`: every problem at once, every default filled in."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import Problem, RecipeError, Severity
from engine.kinds import written_kind
from engine.recipe.baselines import baseline, written_baselines
from engine.recipe.mapping import Readers, from_mapping
from engine.recipe.methods import are_drawn_from_train, method_defaults, method_of
from engine.recipe.model import (
    FROM_TRAIN,
    Acceptance,
    AgainstTeacher,
    Agreement,
    ColumnFile,
    Data,
    Export,
    Forgetting,
    GeneralText,
    MaxDrop,
    Probe,
    Recipe,
    Replay,
    Source,
    Splits,
    Synthesize,
    Task,
    Teacher,
    TeacherInputs,
    Threshold,
)
from engine.recipe.outside import refuse_leading_out, warnings_of, withheld
from engine.recipe.references import base_model, reference
from engine.recipe.rules import check_rules
from engine.recipe.rules.task import reads_input
from engine.recipe.sweeps import sweep_of
from engine.recipe.teacher import judge_fields, soft_of, teacher_model, writer_fields
from engine.recipe.text.extends import KEY, extended
from engine.recipe.text.paths import absolute, listed_files
from engine.recipe.text.source import Reader, SourceText, read_bytes, read_source
from engine.recipe.text.words import did_you_mean
from engine.recipe.validation.schema import definition, with_defaults
from engine.recipe.validation.schema_errors import check_structure
from engine.trust.access import NOTHING
from engine.trust.allowed import Allowed
from engine.values import Value, replace


class Parent(Value):
    problems: tuple[Problem, ...]
    left_open: tuple[str, ...]
    """Required keys that it lacks, which its children have."""

    @property
    def is_sound(self) -> bool:
        return not any(problem.severity is Severity.ERROR for problem in self.problems)


def as_parent(problems: Sequence[Problem]) -> Parent:
    missing = (problem.path for problem in problems if problem.code in OF_ABSENCE)
    others = tuple(problem for problem in problems if problem.code not in OF_ABSENCE)
    return Parent(problems=others, left_open=tuple(dict.fromkeys(missing)))


def check_parent(path: Path) -> Parent:
    parent = as_parent(check_recipe(path)[1])
    if _named_by(path) is None:
        return parent
    message, hint = "a parent cannot extend another recipe", "delete this line"
    further = read_source(path).problem("R124", message, at=(KEY,), key=True, hint=hint)
    return replace(parent, problems=(*parent.problems, further))


def parents_among(paths: Sequence[Path]) -> frozenset[Path]:
    """Return those of the files that another of them extends, as absolute paths."""
    files = {absolute(str(path), Path.cwd()): _named_by(path) for path in paths}
    return frozenset(named for file, named in files.items() if named in files and named != file)


def _named_by(path: Path) -> Path | None:
    try:
        source = read_source(path)
    except RecipeError:
        return None
    named = source.value.get(KEY)
    return absolute(named, source.path.parent) if isinstance(named, str) and named else None


OF_ABSENCE: Final = frozenset({"R105", "R111", "R112", "R240", "R246"})
"""Codes of missing keys, which may be in a parent or a child."""
MISSING: Final = frozenset({"R105", "R240"})
_OF_THE_DISK: Final = frozenset({"R250", "R256", "R302", "R309", "R310", "R311"})
"""Codes of files of this machine, which mean nothing for a version of another time."""

_BESIDE_A_SOURCE: Final = ("name", "kind", "limit", "columns", "input", "bits_per_byte")
"""Keys of probes and general texts that are not of their source."""

Written = Mapping[str, Any]


def load_recipe(
    path: Path, *, read: Reader = read_bytes, given: Allowed = NOTHING
) -> tuple[Recipe, tuple[Problem, ...]]:
    """Return the recipe and its warnings; RecipeError with every problem when one is an error. As `check_recipe`."""
    recipe, problems = check_recipe(path, read=read, given=given)
    if recipe is None:
        raise RecipeError(problems)
    return recipe, problems


def check_recipe(
    path: Path, *, read: Reader = read_bytes, given: Allowed = NOTHING
) -> tuple[Recipe | None, tuple[Problem, ...]]:
    """Return the recipe, or None if it has errors, and every problem in file order.

    Never raises for a wrong recipe, not even for a file that cannot be read.

    `read` returns the bytes of a recipe file: of `path`, and of its parent, whose path is built from `path` as it was
    given (`c.yaml` for `a/b.yaml` that extends `../c.yaml`). It raises FileNotFoundError, or RecipeError with a problem
    of its own. Another reader than the disk's reads another time (a revision of a repository): then the files that the
    recipe names are not checked, and a pattern that matches nothing now is one source, the pattern itself.

    `given` is what the user allows for this call, in addition to what is allowed for the project. What is outside and
    not allowed is a warning (a parent: an error), is not read, and in the recipe it is `withheld`.
    """
    try:
        if read is read_bytes:
            refuse_leading_out(path, given)
        child = replace(read_source(path, read=read), given=given)
    except RecipeError as error:
        return None, error.problems
    source, problems = extended(child, read=read)
    if problems:
        own = as_parent(check_structure(child)).problems
        return None, _in_order((*child.problems, *own, *problems), child)
    text = replace(source, filled=_grouped(with_defaults(source.value), source.value))
    structure = text.problems + check_structure(text)
    every = _without_misspelt(structure + check_rules(text, structure))
    unread = () if read is read_bytes else _OF_THE_DISK
    problems = _in_order((problem for problem in every if problem.code not in unread), text)
    # `resolve` trusts types and ranges.
    if any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
    recipe = withheld(resolve(text), text.judge)
    return recipe, _in_order((*problems, *warnings_of(recipe, text)), text)


def _without_misspelt(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Leave out a missing key that the hint for an unknown key next to it names: that is one mistake."""

    def key(problem: Problem, hint: str | None) -> tuple[str, str | None]:
        return problem.path.rpartition(".")[0], hint

    named = {key(one, one.hint) for one in problems if one.code == "R104"}
    return tuple(
        one
        for one in problems
        if one.code not in MISSING
        or key(one, did_you_mean(one.path.rpartition(".")[2])) not in named
    )


def _grouped(filled: dict[str, Any], written: Any) -> dict[str, Any]:
    """Divide by the kind's own group, such as the prompt, if the recipe does not specify how rows are divided."""
    kind, splits = written_kind(filled), written.get("splits", {})
    if kind is None or not kind.group or not isinstance(splits, Mapping) or "by" in splits:
        return filled
    return {**filled, "splits": {**filled.get("splits", {}), "by": {"group": kind.group}}}


def _in_order(problems: Iterable[Problem], source: SourceText) -> tuple[Problem, ...]:
    """Return the problems of the file, then those of its parent, each by place."""

    def position(problem: Problem) -> tuple[bool, int, int, str]:
        place = problem.place
        if place is None or place.line is None:
            return (False, 0, 0, problem.code)
        return (place.file != source.file, place.line, place.column or 0, problem.code)

    return tuple(sorted(problems, key=position))


def resolve(text: SourceText) -> Recipe:
    filled, folder = text.filled, text.path.parent
    baselines = tuple(baseline(item, folder) for item in written_baselines(filled))

    def sources(written: Written) -> dict[str, Any]:
        files: list[Written] = []
        for source in written.get("sources", ()):
            # A pattern that matches nothing now is a source itself.
            itself = {**source, "pattern": source.get("path", "")}
            files += listed_files(source, folder, text.judge) or [itself]
        return {"sources": tuple(from_mapping(Source, file, readers) for file in files)}

    def source(written: Written) -> dict[str, Any]:
        columns = []
        for name, file in written["columns"].items():
            place = {"path": file} if "path" in written else {**written, "file": file}
            columns.append(ColumnFile(column=name, written=file, ref=reference(place, folder)))
        return {
            "ref": reference(written, folder),
            "hub_file": written.get("file", "") if "hub" in written else "",
            "columns": tuple(columns),
        }

    def inner_source(written: Written) -> dict[str, Any]:
        place = {key: value for key, value in written.items() if key not in _BESIDE_A_SOURCE}
        if {"hub", "path", "package"}.isdisjoint(place):
            return {"source": None}
        filled_place = with_defaults(place, definition("source"))
        return {"source": from_mapping(Source, filled_place, readers)}

    def probe(written: Any) -> Probe:
        is_named = isinstance(written, Mapping)
        return from_mapping(
            Probe, written if is_named else {"name": written, "kind": "builtin"}, readers
        )

    def teacher(written: Written) -> dict[str, Any]:
        inputs = {"rows": 0, **written.get("inputs", {})}
        return {
            "model": teacher_model(written["model"], folder, baselines),
            "inputs": from_mapping(TeacherInputs, inputs, readers),
            "soft": soft_of(written),
        }

    readers: Readers = {
        Acceptance: lambda written: {"metrics": _thresholds(written["metrics"])},
        AgainstTeacher: lambda written: {"drops": _drops(dict(sorted(written.items())))},
        Agreement: lambda written: judge_fields(written, folder),
        Data: sources,
        Export: _export,
        Forgetting: lambda written: {"probes": tuple(map(probe, written["probes"]))},
        GeneralText: inner_source,
        Probe: inner_source,
        Replay: sources,
        Source: source,
        Splits: lambda written: _splits(written, is_drawn=are_drawn_from_train(filled)),
        Synthesize: lambda written: writer_fields(written, folder),
        Task: lambda _: {} if reads_input(text) else {"input": ""},
        Teacher: teacher,
        TeacherInputs: sources,
    }
    return from_mapping(
        Recipe,
        filled,
        readers,
        file=text.path,
        base_model=base_model(filled["base_model"], folder),
        baselines=baselines,
        # R218 refuses true with an empty list.
        stop_if_baseline_passes=filled["stop_if_baseline_passes"] and filled.get("baselines") != [],
        method=method_of(filled["method"], filled),
        method_defaults=method_defaults(filled["method"], filled),
        sweep=sweep_of(filled),
    )


def _splits(written: Written, *, is_drawn: bool) -> dict[str, Any]:
    way, folds = written["by"], int(written["folds"])
    by, column = next(iter(way.items())) if isinstance(way, dict) else (way, "")
    holdout = 1 / folds if folds else written.get("holdout", "all")
    drawn = {"validation": FROM_TRAIN} if is_drawn else {}
    return {"by": by, "column": column, "holdout": holdout, **drawn}


def _thresholds(written: Written) -> tuple[Threshold, ...]:
    return tuple(
        Threshold(metric=metric, direction=direction, bound=float(bound))
        for metric, bounds in written.items()
        for direction, bound in bounds.items()
        if direction in ("min", "max")
    )


def _drops(bounds: Written) -> tuple[MaxDrop, ...]:
    return tuple(
        MaxDrop(metric=metric, max_drop=float(bound["max_drop"]))
        for metric, bound in bounds.items()
        if "max_drop" in bound
    )


def _export(written: Written) -> dict[str, Any]:
    bounds, named = written["after_quantization"], written["quantization"]
    return {
        "quantizations": (named,) if isinstance(named, str) else tuple(named),
        "max_drops": _drops(bounds),
        "thresholds": _thresholds(bounds),
    }
