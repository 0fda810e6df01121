"""What a folder with an exported graph holds: the graph, its weights, and the files that say how to ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ONNX: Final = "onnx"
OPENVINO: Final = "openvino"
GRAPHS: Final = {ONNX: "model.onnx", OPENVINO: "openvino_model.xml"}
"""By format, the file that is loaded; as Optimum and its Intel part name them."""
RUNTIMES: Final = {ONNX: "onnxruntime", OPENVINO: "openvino"}
"""The distributions that run them."""
INPUTS: Final = ("input_ids", "attention_mask")
OUTPUT: Final = "logits"
TOKENIZER: Final = "tokenizer.json"


def graph_file(folder: Path, form: str) -> Path:
    """Return the file of a folder that a runtime loads."""
    return folder / GRAPHS[form]
