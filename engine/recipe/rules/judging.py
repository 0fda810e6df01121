"""Rules about what is judged how: abstaining, windows over documents, probes of forgetting, graphs."""

from collections.abc import Mapping
from typing import Final

from engine.kinds import KINDS, Decoding
from engine.recipe.methods import FEWEST_TO_CALIBRATE, has_validation
from engine.recipe.model import ONNX
from engine.recipe.references import PROBE_KINDS, PROBES, parts_of, written_references
from engine.recipe.rules import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.paths import format_of
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema_errors import show

_FORMATS: Final = ("jsonl", "json", "csv", "tsv", "parquet")


@rule("acceptance.forgetting")
def names_differ(recipe: FilledText) -> Problems:
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
def rows_can_be_found(recipe: FilledText) -> Problems:
    """A probe has parts of its kind, a hub data set a split or file, a file a format (R281, R112, R231)."""
    for at, written, what in written_references(recipe.filled):
        if what not in ("probe", "text"):
            continue
        is_known = what == "probe" and written["kind"] in PROBE_KINDS
        parts = parts_of(written["kind"]) if is_known else ()
        for part in written["columns"] if parts else ():
            if part not in parts:
                hint = suggestion(part, parts, f"parts are {', '.join(parts)}")
                message = f"{written['kind']} has no part {show(part)}"
                column = (*at, "columns", part)
                yield recipe.problem("R281", message, at=column, key=True, hint=hint)
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
    selective = recipe["acceptance"].get("selective", {})
    on_point = recipe["acceptance"]["decide_on"] == "point"
    for name, bound in selective.items():
        least = bound["min"]
        if least > 1 or (least == 1 and not on_point):
            message = f"no holdout shows that at least {least:g} of all rows are {_WORDS[name]}"
            yield recipe.problem("R418", message, at=(*_AT, name, "min"), hint="such as 0.95")


_WORDS: Final = {"accuracy": "answered right", "coverage": "answered"}
