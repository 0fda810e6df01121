"""What a folder with an exported graph holds: the graph, its weights, and the files that say how to ask it."""

from __future__ import annotations

from typing import Final

GRAPH: Final = "model.onnx"
"""The file that is loaded; as Optimum names it."""
RUNTIME: Final = "onnxruntime"
"""The distribution that runs it."""
INPUTS: Final = ("input_ids", "attention_mask")
OUTPUT: Final = "logits"
TOKENIZER: Final = "tokenizer.json"
