"""Writes a model folder as a graph: `python -m engine.runtime.graph_export MODEL TARGET PRECISION`.

In a process of its own: tracing needs several times the memory of the model.
"""

import sys
from pathlib import Path
from typing import Any

import onnx_ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from engine.runtime.graph_session import GRAPH_FILE, INPUTS
from engine.runtime.models.load import DTYPES, load_whole

ROWS, TOKENS = 2, 11
"""Of the rows that are traced; both may be any other number later."""


class _Logits(torch.nn.Module):
    """The logits of each token of whole rows, in 32 bits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return [rows, tokens, vocabulary]."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        logits: torch.Tensor = output.logits.float()
        return logits


def write_onnx(model: Path, target: Path, precision: str) -> None:
    """Write `model.onnx` and its weights; the same model gives the same bytes."""
    logits = _Logits(load_whole(model, dtype=DTYPES[precision], use_safetensors=True)).eval()
    rows = torch.zeros((ROWS, TOKENS), dtype=torch.int64)
    axes = {0: "rows", 1: "tokens"}
    with torch.no_grad():
        program = torch.onnx.export(
            logits,
            (rows, torch.ones_like(rows)),
            dynamo=True,
            input_names=INPUTS,
            output_names=("logits",),
            dynamic_shapes=dict.fromkeys(INPUTS, axes),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch has written no graph")
    # Names of files and functions of this machine stand in it.
    graph: onnx_ir.Model = ClearMetadataAndDocStringPass()(program.model).model
    onnx_ir.save(graph, target / GRAPH_FILE, external_data=f"{GRAPH_FILE}.data")


if __name__ == "__main__":
    _, source, out, bits = sys.argv
    write_onnx(Path(source), Path(out), bits)
