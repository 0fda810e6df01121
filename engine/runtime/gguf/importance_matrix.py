"""Which inputs of each layer matter: llama.cpp's importance matrix, from rows that the model was trained on.

The mean square of what each weight is multiplied with, over the tokens of the rows. The quantizer then
rounds so that the weights of large inputs are kept best. Written in llama.cpp's own form, so that its
programs read it too: https://github.com/ggml-org/llama.cpp/blob/master/tools/imatrix/README.md
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import StageError
from engine.files.reading import json_lines
from engine.progress import Progress
from engine.runtime.gguf.convert import read_gguf
from engine.runtime.models.load import LoadedModel, in_64_bits
from engine.runtime.rendering.chat import Chat
from engine.runtime.rendering.rendered_files import trained_rows
from engine.values import Value

REVISION = 1
TOKENS = 20_000


class Squares(Value):
    """Sums over the tokens of some rows."""

    sums: Mapping[str, NDArray[np.float64]]
    """By name of the layer as transformers knows it, [inputs]."""
    tokens: int
    rows: int


def drawn_rows(train: Path, chat: Chat, *, seed: int, tokens: int = TOKENS) -> list[list[int]]:
    """Return the tokens of rendered rows, drawn by seed, up to `tokens`; segments are tokenised apart."""
    rows = [json.loads(line) for line in json_lines(train.read_text(encoding="utf-8"))]
    # By a hash of the id: rows that are added later do not shuffle the others.
    order = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row['id']}".encode()).digest())
    found: list[list[int]] = []
    held = 0
    for row in order:
        [made] = trained_rows([row], chat)
        ids = made["input_ids"]
        if held + len(ids) > tokens and found:
            break
        found.append(ids[: tokens - held])
        held += len(ids)
    return found


@torch.inference_mode()
def squares(loaded: LoadedModel, rows: Sequence[Sequence[int]], *, progress: Progress) -> Squares:
    """Run the rows through the model and sum the squares of every linear layer's inputs."""
    sums: dict[str, torch.Tensor] = {}

    def add(name: str, _module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        # In float64: sums over thousands of tokens lose digits in 16 and 32 bits.
        given = in_64_bits(inputs[0].reshape(-1, inputs[0].shape[-1]))
        total = given.square().sum(0)
        sums[name] = sums[name] + total if name in sums else total

    hooks = [
        module.register_forward_pre_hook(partial(add, name))
        for name, module in loaded.model.named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    try:
        for done, row in enumerate(rows, start=1):
            ids = torch.tensor([list(row)], device=loaded.device)
            loaded.model(input_ids=ids, use_cache=False, logits_to_keep=1)
            progress.update(done, len(rows), "rows")
    finally:
        for hook in hooks:
            hook.remove()
    found = {name: total.cpu().numpy() for name, total in sums.items()}
    return Squares(sums=found, tokens=sum(map(len, rows)), rows=len(rows))


def write_importance(path: Path, found: Squares, sixteen: Path) -> tuple[int, int]:
    """Write the matrix for the tensors of the 16-bit GGUF file; return how many of how many it covers.

    Counted are matrices that are quantized, but for token embeddings, which nothing is multiplied with.
    StageError X637 when it covers none.
    """
    reader = read_gguf(sixteen)
    wanted = {
        tensor.name: int(tensor.shape[0])
        for tensor in reader.tensors
        if len(tensor.shape) == 2  # matrices
        and tensor.tensor_type.name in ("F16", "BF16", "F32")
        # The head is shown one token a row here, which says too little of it; llama.cpp's own tool leaves it out too.
        and tensor.name not in ("token_embd.weight", "output.weight")
    }
    kind = str(reader.get_field("general.architecture").contents())
    blocks = int(reader.get_field(f"{kind}.block_count").contents())
    kinds = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[kind], blocks)
    named = {
        names.get_name(f"{module}.weight", try_suffixes=(".weight",)): values
        for module, values in found.sums.items()
    }
    kept = {name: named[name] for name in wanted if len(named.get(name, ())) == wanted[name]}
    if not kept:
        what = "no layer of the model could be given an importance"
        hint = "write `importance_matrix: false`, or point LLAMA_CPP_DIR at a llama.cpp of yours"
        raise StageError.one("X637", what, hint=hint)
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["the training rows"])
    writer.add_uint32("imatrix.chunk_count", found.rows)
    writer.add_uint32("imatrix.chunk_size", max(1, found.tokens // found.rows))
    for name, sums in sorted(kept.items()):
        writer.add_tensor(f"{name}.in_sum2", sums.astype(np.float32)[None, :])
        writer.add_tensor(f"{name}.counts", np.array([[found.tokens]], dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return len(kept), len(wanted)
