"""The peak of memory while training, part by part, from the shapes of the model and of a batch.

What a pass keeps for its way back was counted with `torch.autograd.graph.saved_tensors_hooks` on Llama
models of several shapes; copies of the logits and the size of the process were fitted to peaks of real
trainings on a CPU (`docs/explanation/estimates.md` has the numbers).
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.backends.base import numbered
from engine.estimate.shape import Linear, ModelShape
from engine.recipe.methods import ATTENTION
from engine.recipe.model import Method
from engine.values import Value, replace, to_json

WIDTH = {"bf16": 2, "fp16": 2, "fp32": 4}
"""Bytes of a number."""
PROCESS = 1_120_000_000
"""Resident size on a CPU of Python with torch, transformers, peft and trl or Axolotl, without weights, after a
first pass has loaded its kernels; Axolotl and TRL came within 3 % of it."""
KERNELS = 110_000_000
"""Of it, what comes only with the first pass."""
LOGITS = {"trl": 4.6, "axolotl": 4.1}
"""Copies of the 32-bit logits that are alive at once in the loss and its way back."""
NF4 = 0.516
"""Bytes of a 4-bit weight with its doubly quantized scales."""
SHARED = {"q_proj": "x", "k_proj": "x", "v_proj": "x", "gate_proj": "y", "up_proj": "y"}
"""Matrices that read the same input, which is kept once for all of them."""
OF_ATTENTION = "o_proj"
"""Reads what attention gives, which is kept for its own way back: 32 bits are not kept twice."""


class Memory(Value):
    """The parts of the peak, in bytes."""

    process: int
    weights: int
    adapter: int
    optimizer: int
    activations: int
    logits: int
    gradients: int
    """Those that are alive at the peak."""

    @property
    def total(self) -> int:
        """Of all parts."""
        return sum(to_json(self).values())

    def parts(self) -> Mapping[str, int]:
        """Return the parts by name, without those that are nothing."""
        named = {"the process": self.process, **to_json(self)}
        del named["process"]
        return {name: size for name, size in named.items() if size}


class Batch(Value):
    """What goes through the model at once."""

    rows: int
    length: int
    """Tokens of each row, padding included."""
    shared: int = 0
    """Tokens of each row that are computed once for all of them."""
    learned: int = 0
    """Tokens of each row that have logits; 0 where every token has."""

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return self.rows * (self.length - self.shared) + self.shared

    @property
    def logits(self) -> int:
        """Tokens of all rows that have logits."""
        return self.rows * self.learned or self.tokens


def trainable_parameters(shape: ModelShape, method: Method) -> int:
    """Return what is trained: everything or a part of it, or two thin matrices beside each chosen one."""
    if method.kind == "full":
        return _unfrozen(shape, method)
    # With DoRA the length of each row besides.
    rows = 1 if method.dora else 0
    return sum(
        (rank_of(one, method) * (one.inputs + one.outputs) + rows * one.outputs) * one.count
        for one in targets(shape, method)
    )


def _unfrozen(shape: ModelShape, method: Method) -> int:
    only = method.train_only
    if only is None:
        return shape.total_parameters
    words = shape.embedding_parameters * (1 if shape.tied else 2)
    # Beside the blocks and the embeddings there is the last norm.
    blocks = shape.total_parameters - words - shape.hidden
    trained = blocks * len(numbered(only.layers or ())) // shape.layers
    return trained + (words if only.embeddings else 0)


def rank_of(one: Linear, method: Method) -> int:
    """Return the rank of a matrix's adapter."""
    return dict(method.ranks).get(one.name, method.rank)


def targets(shape: ModelShape, method: Method) -> list[Linear]:
    """Return the matrices that get an adapter, as many of each as there are chosen layers."""
    found = list(shape.linears)
    if method.target_modules != "all_linear":
        names = ATTENTION if method.target_modules == "attention" else method.target_modules
        found = [one for one in found if one.name in names]
    if method.layers is None:
        return found
    chosen = min(shape.layers, len(numbered(method.layers)))
    return [replace(one, count=one.count * chosen // shape.layers) for one in found]


def layers_back(shape: ModelShape, method: Method) -> int:
    """Return through how many layers gradients go: from the last to the first of which anything is trained."""
    only = method.train_only
    layers = method.layers if method.kind != "full" else only and only.layers
    everything = method.layers is None if method.kind != "full" else only is None or only.embeddings
    if everything or not layers:
        return shape.layers
    return max(1, shape.layers - min(number % shape.layers for number in numbered(layers)))


def peak(
    shape: ModelShape,
    method: Method,
    batch: Batch,
    *,
    precision: str,
    backend: str,
    process: int,
) -> Memory:
    """Return the largest memory that training holds at once.

    That is on the way back through the last blocks, when all activations and the logits are there, or in
    the optimizer's step, when all gradients are.
    """
    trained = trainable_parameters(shape, method)
    adapter = 0 if method.kind == "full" else 4 * trained
    kept = _activations(shape, method, batch, precision=precision)
    logits = round(4 * LOGITS.get(backend, 4.6) * batch.logits * shape.vocabulary)
    gradients = 4 * trained
    is_whole = method.train_only is None or method.train_only.embeddings
    largest = 4 * shape.embedding_parameters if method.kind == "full" and is_whole else 0
    back, step = kept + logits + largest, gradients + largest
    at_step = step > back
    return Memory(
        process=process,
        weights=_weights(shape, method, precision),
        adapter=adapter,
        optimizer=8 * trained,
        activations=0 if at_step else kept,
        logits=0 if at_step else logits,
        gradients=step if at_step else largest,
    )


def ready(shape: ModelShape, method: Method, precision: str) -> int:
    """Return the weights and the adapter, before the first pass makes copies of any."""
    if method.kind == "full":
        return 4 * shape.total_parameters * _copies(method)
    return _weights(shape, method, precision) + 4 * trainable_parameters(shape, method)


def _copies(method: Method) -> int:
    """Return how often full training holds the model: preferences may be measured against an untouched one."""
    return 2 if method.preference is not None and method.preference.has_reference else 1


def _weights(shape: ModelShape, method: Method, precision: str) -> int:
    """Return the base model's weights; full training holds 32 bits, and 16-bit copies while it computes."""
    if method.kind == "qlora":
        rest = shape.total_parameters - shape.linear_parameters
        # Only the matrices are quantized; embeddings and norms are held in 32 bits.
        return round(NF4 * shape.linear_parameters) + 4 * rest
    if method.kind == "full":
        # A weight that is frozen is cast anew each time.
        cast = shape.linear_parameters * _unfrozen(shape, method) // shape.total_parameters
        held = 4 * shape.total_parameters * _copies(method)
        return held + (2 * cast if precision != "fp32" else 0)
    return WIDTH[precision] * shape.total_parameters


def _activations(shape: ModelShape, method: Method, batch: Batch, *, precision: str) -> int:
    """Return what all blocks keep for the way back, in bytes."""
    hidden = shape.hidden
    block = _block(shape, method, precision=precision)
    if method.gradient_checkpointing:
        between = 4 * hidden  # the input of each block; one block at a time is done again
        return round(batch.tokens * (shape.layers * between + block))
    final = 8 * hidden
    return round(batch.tokens * (layers_back(shape, method) * block + final))


def _block(shape: ModelShape, method: Method, *, precision: str) -> float:
    """Return what one block keeps of one token."""
    hidden, inner = shape.hidden, shape.intermediate
    narrow = precision != "fp32"
    if method.kind == "full":
        return 28 * hidden + 8 * inner if narrow else 40 * hidden + 16 * inner
    frozen = 16 * hidden + 6 * inner if narrow else 24 * hidden + 12 * inner
    return frozen + _beside(shape, method, narrow=narrow)


def _beside(shape: ModelShape, method: Method, *, narrow: bool) -> float:
    """Return what the adapters of one block keep: their inputs, dropped anew for each where rows are dropped."""
    total, shared = 0.0, {OF_ATTENTION}
    for one in targets(shape, method):
        share = one.count / max(1, layers_back(shape, method))
        if method.dropout:
            total += share * one.inputs * (6 if narrow else 8)
        elif narrow:
            total += share * one.inputs * 2
        # Neither dropped nor cast: matrices that read the same input keep one tensor for all.
        elif SHARED.get(one.name, one.name) not in shared:
            shared.add(SHARED.get(one.name, one.name))
            total += share * one.inputs * 4
        # DoRA keeps what the layer and its adapter give, to scale both.
        total += share * one.outputs * (6 if narrow else 8) if method.dora else 0
    return total
