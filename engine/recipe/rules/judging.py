"""Rules about evaluation: abstaining, windows over documents, probes of forgetting, graphs."""

from collections.abc import Mapping
from typing import Final

from engine.kinds import Decoding
from engine.recipe.methods import FEWEST_TO_CALIBRATE, has_validation
from engine.recipe.model import ONNX
from engine.recipe.references import PROBE_KINDS, PROBES, parts_of
from engine.recipe.rules import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema_errors import show

_SELECTIVE: Final = ("acceptance", "selective")
_STRIDE: Final = ("acceptance", "stride")


@rule("acceptance.forgetting")
def probes_are_named_and_have_parts(recipe: SourceText) -> Problems:
    forgetting = recipe["acceptance"].get("forgetting") or {}
    seen: set[str] = set()
    for position, probe in enumerate(forgetting.get("probes", ())):
        at: KeyPath = (*PROBES, position)
        is_named = isinstance(probe, Mapping)
        name = probe["name"] if is_named else probe
        if name in seen or (is_named and name == "builtin"):
            message = f"two probes are called {show(name)}"
            if name == "builtin" and name not in seen:
                message = "`builtin` is the name of the project's own questions"
            place = (*at, "name") if is_named else at
            yield recipe.problem("R280", message, at=place, hint="give each its own name")
        seen.add(name)
        parts = parts_of(probe["kind"]) if is_named and probe["kind"] in PROBE_KINDS else ()
        for part in probe["columns"] if parts else ():
            if part not in parts:
                hint = suggestion(part, parts, f"parts are {', '.join(parts)}")
                message, column = (
                    f"{probe['kind']} has no part {show(part)}",
                    (*at, "columns", part),
                )
                yield recipe.problem("R281", message, at=column, key=True, hint=hint)


@rule("task.kind", "acceptance", "method.max_length")
def stride_moves_a_window(recipe: SourceText) -> Problems:
    acceptance, length = recipe["acceptance"], recipe["method"]["max_length"]
    if (stride := acceptance.get("stride")) is None:
        return
    forgets = (acceptance.get("forgetting") or {}).get("text")
    if recipe["task"]["kind"] != "text" and forgets is None:
        message = "there are no documents over which a window could move"
        yield recipe.problem("R399", message, at=_STRIDE, key=True, hint="delete it")
    elif stride >= length:
        message = f"a window of {length} tokens has to move by fewer"
        hint = f"write {max(1, length // 2)}, or delete it"
        yield recipe.problem("R400", message, at=_STRIDE, hint=hint)


@rule("export", "task")
def graphs_are_judged(recipe: SourceText) -> Problems:
    formats = recipe["export"]["formats"]
    if ONNX in formats and recipe.kind.decoding is not Decoding.LABEL_SCORING:
        at = ("export", "formats", formats.index(ONNX))
        message = (
            f"{recipe.kind.name} has no labels that a file of the format {ONNX} could be judged by"
        )
        hint = f"leave `{ONNX}` out; gguf and safetensors take every kind"
        yield recipe.problem("R453", message, at=at, hint=hint)
    precision = ("export", "graph_precision")
    if recipe.has(precision) and ONNX not in formats:
        message = "`graph_precision` is about an ONNX file, and `formats` has none"
        yield recipe.problem("R454", message, at=precision, key=True, hint="add `onnx` to formats")


@rule("task.kind", "acceptance", "export", "splits", "method.keep")
def calibration_can_be_done(recipe: SourceText) -> Problems:
    keys: list[KeyPath] = [_SELECTIVE] if recipe.has(_SELECTIVE) else []
    keys += [("export", "calibrate")] if recipe["export"].get("calibrate") else []
    size = recipe["splits"].get("validation", "all")
    why = ""
    if recipe["splits"].get("folds"):
        why = "with `splits.folds` there is no model whose validation rows and holdout are those of the gate"
    elif not has_validation(recipe.filled):
        why = "there are no validation rows to choose temperature and threshold on"
    elif isinstance(size, int) and 0 < size < FEWEST_TO_CALIBRATE:
        why = f"{size} validation rows are too few: {FEWEST_TO_CALIBRATE} are needed"
    for at in keys:
        if recipe.kind.decoding is not Decoding.LABEL_SCORING:
            message = f"{recipe.kind.name} has no probabilities of labels to calibrate"
            yield recipe.problem("R417", message, at=at, key=True, hint="delete it")
        if why:
            hint = f"splits: {{validation: …}} of at least {FEWEST_TO_CALIBRATE} rows"
            yield recipe.problem("R419", why, at=at, key=True, hint=hint)


@rule("acceptance")
def selective_can_hold(recipe: SourceText) -> Problems:
    words = {"accuracy": "answered right", "coverage": "answered"}
    on_point = recipe["acceptance"]["decide_on"] == "point"
    for name, bound in recipe["acceptance"].get("selective", {}).items():
        least = bound["min"]
        if least > 1 or (least == 1 and not on_point):
            message = f"no holdout shows that at least {least:g} of all rows are {words[name]}"
            yield recipe.problem(
                "R418", message, at=(*_SELECTIVE, name, "min"), hint="such as 0.95"
            )
