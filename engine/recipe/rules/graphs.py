"""Rules about the export to ONNX."""

from __future__ import annotations

from engine.kinds import KINDS, Decoding
from engine.recipe.model import ONNX
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.source import FilledText


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
    """
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None or kind.decoding is Decoding.LABEL_SCORING:
        return
    formats = recipe["export"]["formats"]
    if ONNX in formats:
        at = ("export", "formats", formats.index(ONNX))
        message = f"{kind.name} has no labels that a file of the format {ONNX} could be judged by"
        hint = f"leave `{ONNX}` out; gguf and safetensors take every kind"
        yield recipe.problem("R453", message, at=at, hint=hint)


@rule("export")
def graph_precision_has_a_graph(recipe: FilledText) -> Problems:
    """R454: a precision of graphs without a graph.

    Only onnx files have it; the key would do nothing.

    Fix: Add onnx to export.formats, or delete the key.

    Wrong:
        export:
          formats: [safetensors]
          ▸graph_precision: fp16

    Right:
        export:
          formats: [safetensors, onnx]
          graph_precision: fp16
    """
    at = ("export", "graph_precision")
    if recipe.has(at) and ONNX not in recipe["export"]["formats"]:
        message = "`graph_precision` speaks of an ONNX file; formats name none"
        yield recipe.problem("R454", message, at=at, key=True, hint="add `onnx` to formats")
