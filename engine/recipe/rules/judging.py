"""Rules about what is judged how: abstaining, windows over documents, probes of forgetting, graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.kinds import KINDS, Decoding
from engine.recipe.methods import FEWEST_TO_CALIBRATE, has_validation
from engine.recipe.model import ONNX
from engine.recipe.references import PROBE_KINDS, PROBES, parts_of, written_references
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.paths import format_of
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import suggestion
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
            probes:
              - {name: arc, kind: cloze, path: ../data/rows.csv, columns: {context: text}}
    """
    for at, written in _in_files(recipe):
        parts = parts_of(written["kind"]) if written["kind"] in PROBE_KINDS else ()
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


_STRIDE: Final[KeyPath] = ("acceptance", "stride")


@rule("task.kind", "acceptance", "method.max_length")
def stride_moves_a_window(recipe: FilledText) -> Problems:
    """R399: a stride where no document is judged.

    Answers are judged whole, after all that stands before them. Only documents are longer than what a model reads at
    once.

    Fix: Delete `acceptance.stride`.

    Wrong:
        acceptance:
          metrics: {macro_f1: {min: 0.8}}
          ▸stride: 128

    Right:
        acceptance:
          # no stride

    R400: a stride that is as long as the window.

    A window of `method.max_length` tokens that moves by as many holds nothing before what it judges: these are the
    blocks that are judged without a stride.

    Fix: Write a smaller stride, such as half of `method.max_length`, or none.

    Wrong:
        # no labels
        task: {kind: text}
        data:
          # no label
        method: {kind: lora, max_length: 256}
        acceptance:
          metrics: {bits_per_byte: {max: 2}}
          stride: ▸256

    Right:
        acceptance:
          stride: 128
    """
    acceptance = recipe["acceptance"]
    stride = acceptance.get("stride")
    if stride is None:
        return
    forgets = (acceptance.get("forgetting") or {}).get("text")
    if recipe["task"]["kind"] != "text" and forgets is None:
        message = "no documents are judged, which a window could move over"
        yield recipe.problem("R399", message, at=_STRIDE, key=True, hint="delete it")
    elif stride >= recipe["method"]["max_length"]:
        most = recipe["method"]["max_length"]
        message = f"a window of {most} tokens has to move by fewer"
        yield recipe.problem(
            "R400", message, at=_STRIDE, hint=f"write {max(1, most // 2)}, or delete it"
        )


@rule("export", "task")
def graphs_are_judged(recipe: FilledText) -> Problems:
    """R453: a graph for a task that it is not judged for.

    An ONNX file is one pass over whole rows, without a cache of keys and values: it scores labels, as the other
    forms of the model do. Written answers would cost the whole prompt again for each token, and no file
    leaves that was not evaluated on the holdout.

    Fix: Leave onnx out of export.formats, or choose task.kind: classification.

    Wrong:
        task:
          kind: generation
          # no labels
        data:
          # no label
          answer: {column: label}
        acceptance:
          metrics:
            exact_match: {min: 0.5}
        export:
          formats: [gguf, ▸onnx]

    Right:
        export:
          formats: [gguf, onnx]

    R454: a precision of graphs without a graph.

    Only onnx files have it; the key would do nothing.

    Fix: Add onnx to export.formats, or delete the key.

    Wrong:
        export:
          formats: [safetensors]
          ▸graph_precision: fp16

    Right:
        export:
          formats: [safetensors, onnx]
    """
    kind, formats = KINDS.get(recipe["task"]["kind"]), recipe["export"]["formats"]
    if ONNX in formats and kind is not None and kind.decoding is not Decoding.LABEL_SCORING:
        at = ("export", "formats", formats.index(ONNX))
        message = f"{kind.name} has no labels that a file of the format {ONNX} could be judged by"
        hint = f"leave `{ONNX}` out; gguf and safetensors take every kind"
        yield recipe.problem("R453", message, at=at, hint=hint)
    precision = ("export", "graph_precision")
    if recipe.has(precision) and ONNX not in formats:
        message = "`graph_precision` speaks of an ONNX file; formats name none"
        yield recipe.problem("R454", message, at=precision, key=True, hint="add `onnx` to formats")


_AT: Final = ("acceptance", "selective")
_CALIBRATE: Final = ("export", "calibrate")


@rule("task.kind", "acceptance", "export", "splits", "method.keep")
def calibration_can_be_done(recipe: FilledText) -> Problems:
    """R417: calibration of answers that have no probabilities.

    A temperature is fitted to the probabilities of all labels, which only a classification has.

    Fix: Delete the key; `predict --abstain-below` bounds the uncalibrated probability of other kinds.

    Wrong:
        task:
          kind: multilabel
        acceptance:
          ▸selective: {accuracy: {min: 0.95}, coverage: {min: 0.5}}

    Right:
        acceptance:
          metrics:
            accuracy: {min: 0.80}
          # no selective

    R419: calibration without validation rows.

    Temperature and threshold are chosen on validation rows, of one training; the holdout only judges them.

    Fix: Give `splits.validation` a size of at least 50 rows, and no `splits.folds`.

    Wrong:
        splits:
          validation: 20
        acceptance:
          ▸selective: {accuracy: {min: 0.95}, coverage: {min: 0.5}}

    Right:
        splits:
          validation: 100
    """
    asked: list[KeyPath] = [_AT] if recipe.has(_AT) else []
    asked += [_CALIBRATE] if recipe["export"].get("calibrate") else []
    kind, splits = KINDS.get(recipe["task"]["kind"]), recipe["splits"]
    size = splits.get("validation", "all")
    is_counted = isinstance(size, int) and not isinstance(size, bool)
    why = ""
    if splits.get("folds"):
        why = "with `splits.folds` there is no model whose validation rows and holdout are those of the gate"
    elif not has_validation(recipe.filled):
        why = "there are no validation rows to choose temperature and threshold on"
    elif is_counted and 0 < size < FEWEST_TO_CALIBRATE:
        why = f"{size} validation rows are too few: {FEWEST_TO_CALIBRATE} are needed"
    for at in asked:
        if kind is not None and kind.decoding is not Decoding.LABEL_SCORING:
            message = f"{kind.name} has no probabilities of labels to calibrate"
            yield recipe.problem("R417", message, at=at, key=True, hint="delete it")
        if why:
            hint = f"splits: {{validation: …}} of at least {FEWEST_TO_CALIBRATE} rows"
            yield recipe.problem("R419", why, at=at, key=True, hint=hint)


@rule("acceptance")
def selective_can_hold(recipe: FilledText) -> Problems:
    """R418: a selective bound that no holdout can show.

    The lower end of an interval is below 1 however many rows are right, and no share is above 1.

    Fix: Write a number below 1, such as 0.95.

    Wrong:
        acceptance:
          selective:
            accuracy: {min: ▸1.0}
            coverage: {min: 0.5}

    Right:
        acceptance:
          selective:
            accuracy: {min: 0.95}
    """
    selective = recipe["acceptance"].get("selective", {})
    on_point = recipe["acceptance"]["decide_on"] == "point"
    for name, bound in selective.items():
        least = bound["min"]
        if least > 1 or (least == 1 and not on_point):
            message = f"no holdout shows that at least {least:g} of all rows are {_WORDS[name]}"
            yield recipe.problem("R418", message, at=(*_AT, name, "min"), hint="such as 0.95")


_WORDS: Final = {"accuracy": "answered right", "coverage": "answered"}
