"""Rules about probes: named once, with columns of their kind, in files that can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.recipe.formats import format_of
from engine.recipe.probes import KINDS, parts_of
from engine.recipe.references import PROBES, written_references
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.nearest import suggestion
from engine.recipe.text.source import FilledText
from engine.recipe.validation.schema_errors import show

_FORMATS: Final = ("jsonl", "json", "csv", "tsv", "parquet")


def _in_files(recipe: FilledText) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Yield the probes of a recipe that lie in files, with their key paths."""
    found = written_references(recipe.filled)
    yield from ((at, written) for at, written, what in found if what == "probe")


@rule("acceptance.forgetting")
def names_differ(recipe: FilledText) -> Problems:
    """R280: two probes of one name.

    Reports show each set of probes by its name, and `builtin` is the project's own.

    Fix: give each set its own `name`

    Wrong:
        acceptance:
          forgetting:
            max_drop: 0.05
            probes:
              - {name: arc, kind: cloze, path: ../data/rows.csv}
              - {name: ▸arc, kind: cloze, path: ../data/rows.csv, limit: 9}

    Right:
        acceptance:
          forgetting:
            max_drop: 0.05
            probes:
              - {name: arc, kind: cloze, path: ../data/rows.csv}
              - {name: arc-9, kind: cloze, path: ../data/rows.csv, limit: 9}
    """
    forgetting = recipe["acceptance"].get("forgetting") or {}
    seen: set[str] = set()
    for position, written in enumerate(forgetting.get("probes", ())):
        is_named = isinstance(written, Mapping)
        name = written["name"] if is_named else written
        if name in seen or (is_named and name == "builtin"):
            at: KeyPath = (*PROBES, position, "name") if is_named else (*PROBES, position)
            message = f"two probes are called {show(name)}"
            if name == "builtin" and name not in seen:
                message = "`builtin` is the name of the project's own questions"
            yield recipe.problem("R280", message, at=at, hint="give each its own name")
        seen.add(name)


@rule("acceptance.forgetting")
def columns_fit_the_kind(recipe: FilledText) -> Problems:
    """R281: a column that this kind of probe does not have.

    A part that nobody reads would be a mistake unseen. A multiple-choice probe has question, choices and
    answer; cloze has context, endings and answer, or contexts, ending and answer; minimal pairs have good and
    bad.

    Fix: write the parts of the kind: `columns: {question: query, choices: options, answer: gold}`

    Wrong:
        acceptance:
          forgetting:
            max_drop: 0.05
            probes:
              - {name: arc, kind: cloze, path: ../data/rows.csv, columns: {▸question: text}}

    Right:
        acceptance:
          forgetting:
            max_drop: 0.05
            probes:
              - {name: arc, kind: cloze, path: ../data/rows.csv, columns: {context: text}}
    """
    for at, written in _in_files(recipe):
        parts = parts_of(written["kind"]) if written["kind"] in KINDS else ()
        for part in written["columns"] if parts else ():
            if part not in parts:
                hint = suggestion(part, parts, f"parts are {', '.join(parts)}")
                message, column = (
                    f"{written['kind']} has no part {show(part)}",
                    (*at, "columns", part),
                )
                yield recipe.problem("R281", message, at=column, key=True, hint=hint)


@rule("acceptance.forgetting")
def rows_can_be_found(recipe: FilledText) -> Problems:
    """A hub data set says its split or file; a file has a format of rows (R112, R231)."""
    found = written_references(recipe.filled)
    for at, written, what in found:
        if what not in ("probe", "text"):
            continue
        formats = _FORMATS if what == "probe" else (*_FORMATS, "lines", "text")
        if "hub" in written and not written.get("split") and "file" not in written:
            message = "a hub data set needs `split` or `file`"
            yield recipe.problem("R112", message, at=at, hint="add, for example, `split: test`")
            continue
        key = "file" if "file" in written else "path"
        name = written.get(key)
        if name is None or format_of(name, written["format"]) in formats:
            continue
        message = f"the name {show(name.rsplit('/', 1)[-1])} does not tell a format of rows"
        hint = f"add `format:` with one of {', '.join(formats)}"
        yield recipe.problem("R231", message, at=(*at, key), hint=hint)
