"""Peak memory and time of a training, from the shapes of the model and of a batch."""

from engine.backends.base import numbered
from engine.backends.usage import Usage
from engine.estimate.shape import Linear, ModelShape
from engine.recipe.methods import ATTENTION
from engine.recipe.model import Method
from engine.values import Value, replace

WIDTH = {"bf16": 2, "fp16": 2, "fp32": 4}
PROCESS = 1_120_000_000
"""Resident size on a CPU of Python with torch, transformers, peft and trl or Axolotl after a first pass, without
weights; Axolotl and TRL were within 3 % of it."""
KERNELS = 110_000_000
LOGITS = {"trl": 4.6, "axolotl": 4.1}
"""Copies of the 32-bit logits in memory at once in the loss and its backward pass."""
NF4 = 0.516
"""Bytes of a 4-bit weight with its doubly quantized scales."""
SHARED = {"q_proj": "x", "k_proj": "x", "v_proj": "x", "gate_proj": "y", "up_proj": "y"}
"""Matrices with the same input, which is kept once for all of them."""
OF_ATTENTION = "o_proj"
"""Its input, the output of attention, is kept for attention's own backward pass, too; 32 bits are not kept twice."""
SHARE_OF_PEAK = {"lora": 0.42, "qlora": 0.42, "full": 0.55}
"""Share of a CPU's peak operations in training: fitted on one machine."""
GPU_SHARE = 0.35
"""Assumed, not measured: large models on one GPU reach 30 to 50 % of the peak, small ones less."""
STARTING = {"trl": 3.0, "axolotl": 20.0}
"""Seconds until the first step on two cores: for weights and rows, and for imports in a process of their own."""
CHECKPOINT_BYTES = 200e6
"""Bytes written a second, on one disk."""
STATE_BYTES = 28
"""Bytes read and written for one trained number in the optimizer's step."""
MEMORY_BYTES = 10e9


class Batch(Value):
    rows: int
    length: int
    """Tokens of each row, padding included."""
    shared: int = 0
    """Tokens of each row that are computed once for all of them."""
    learned: int = 0
    """Tokens of each row that have logits; 0 if every token has."""

    @property
    def tokens(self) -> int:
        return self.rows * (self.length - self.shared) + self.shared

    @property
    def logits(self) -> int:
        return self.rows * self.learned or self.tokens


class Course(Value):
    steps: float
    """In full batches; the last batch of an epoch may be smaller."""
    passes: int
    batch: Batch
    evaluations: int
    evaluation_tokens: float
    """Tokens of one evaluation, padding included."""
    evaluation_batch: Batch
    saves: int


def trainable_parameters(shape: ModelShape, method: Method) -> int:
    if method.kind == "full":
        only = method.train_only
        if only is None:
            return shape.total_parameters
        words = shape.embedding_parameters * (1 if shape.tied else 2)
        # Outside the blocks and the embeddings there is the last norm.
        blocks = shape.total_parameters - words - shape.hidden
        trained = blocks * len(numbered(only.layers or ())) // shape.layers
        return trained + (words if only.embeddings else 0)
    # DoRA trains the length of each row in addition.
    rows = 1 if method.dora else 0
    return sum(
        (rank_of(one, method) * (one.inputs + one.outputs) + rows * one.outputs) * one.count
        for one in targets(shape, method)
    )


def rank_of(matrix: Linear, method: Method) -> int:
    return dict(method.ranks).get(matrix.name, method.rank)


def targets(shape: ModelShape, method: Method) -> list[Linear]:
    matrices = list(shape.linears)
    if method.target_modules != "all_linear":
        names = ATTENTION if method.target_modules == "attention" else method.target_modules
        matrices = [matrix for matrix in matrices if matrix.name in names]
    if method.layers is None:
        return matrices
    chosen = min(shape.layers, len(numbered(method.layers)))
    return [replace(matrix, count=matrix.count * chosen // shape.layers) for matrix in matrices]


def layers_back(shape: ModelShape, method: Method) -> int:
    """Return the number of layers that gradients pass: from the last to the first with a trained weight."""
    only = method.train_only
    layers = method.layers if method.kind != "full" else only and only.layers
    everything = method.layers is None if method.kind != "full" else only is None or only.embeddings
    if everything or not layers:
        return shape.layers
    return max(1, shape.layers - min(number % shape.layers for number in numbered(layers)))


def peak(
    shape: ModelShape, method: Method, batch: Batch, *, precision: str, backend: str, process: int
) -> dict[str, int]:
    """Return the bytes of each part of the peak memory of training.

    The peak is in the backward pass through the last blocks, with all activations and the logits, or in the optimizer's
    step, with all gradients.
    """
    trained, back = trainable_parameters(shape, method), layers_back(shape, method)
    hidden, narrow = shape.hidden, precision != "fp32"
    block = _kept_of_block(shape, method, narrow=narrow)
    if method.gradient_checkpointing:
        # The input of each block is kept, and one block at a time is computed again.
        kept = round(batch.tokens * (shape.layers * 4 * hidden + block))
    else:
        kept = round(batch.tokens * (back * block + 8 * hidden))
    logits = round(4 * LOGITS.get(backend, 4.6) * batch.logits * shape.vocabulary)
    is_whole = method.train_only is None or method.train_only.embeddings
    largest = 4 * shape.embedding_parameters if method.kind == "full" and is_whole else 0
    step = 4 * trained + largest
    at_step = step > kept + logits + largest
    return {
        "the process": process,
        "weights": _weights(shape, method, precision),
        "adapter": 0 if method.kind == "full" else 4 * trained,
        "optimizer": 8 * trained,
        "activations": 0 if at_step else kept,
        "logits": 0 if at_step else logits,
        "gradients": step if at_step else largest,
    }


def ready(shape: ModelShape, method: Method, precision: str) -> int:
    if method.kind == "full":
        return 4 * shape.total_parameters * _copies(method)
    return _weights(shape, method, precision) + 4 * trainable_parameters(shape, method)


def _copies(method: Method) -> int:
    """Return the number of models in memory in full training: preferences may be measured against the base model."""
    return 2 if method.preference is not None and method.preference.has_reference else 1


def _weights(shape: ModelShape, method: Method, precision: str) -> int:
    """Return the base model's weights; full training holds 32 bits, and 16-bit copies while it computes."""
    if method.kind == "qlora":
        rest = shape.total_parameters - shape.linear_parameters
        # Embeddings and norms are held in 32 bits.
        return round(NF4 * shape.linear_parameters) + 4 * rest
    if method.kind == "full":
        # A frozen weight is cast each time.
        trained = trainable_parameters(shape, method)
        cast = shape.linear_parameters * trained // shape.total_parameters
        held = 4 * shape.total_parameters * _copies(method)
        return held + (2 * cast if precision != "fp32" else 0)
    return WIDTH[precision] * shape.total_parameters


def _kept_of_block(shape: ModelShape, method: Method, *, narrow: bool) -> float:
    """Return the bytes that one block keeps of one token, with the inputs of its adapters."""
    hidden, inner = shape.hidden, shape.intermediate
    if method.kind == "full":
        return 28 * hidden + 8 * inner if narrow else 40 * hidden + 16 * inner
    total: float = 16 * hidden + 6 * inner if narrow else 24 * hidden + 12 * inner
    shared = {OF_ATTENTION}
    for one in targets(shape, method):
        share = one.count / max(1, layers_back(shape, method))
        # Dropout makes a copy for each adapter.
        if method.dropout:
            total += share * one.inputs * (6 if narrow else 8)
        elif narrow:
            total += share * one.inputs * 2
        # Without dropout and casts, matrices with the same input keep one tensor.
        elif SHARED.get(one.name, one.name) not in shared:
            shared.add(SHARED.get(one.name, one.name))
            total += share * one.inputs * 4
        # DoRA keeps the outputs of the layer and of its adapter, to scale both.
        total += share * one.outputs * (6 if narrow else 8) if method.dora else 0
    return total


def operations(shape: ModelShape, method: Method, batch: Batch, *, backward: bool) -> float:
    """Return the operations of one pass: forward, and with `backward` the backward pass.

    The backward pass costs twice the forward pass if every weight has a gradient; with frozen weights as much as the
    forward pass, and the adapters' own part. It ends at the first layer with a trained weight. Preferences that are
    measured against the base model have a forward pass through that, too.
    """
    attention = 4.0 * shape.hidden * batch.length * shape.layers
    blocks = batch.tokens * (2.0 * shape.linear_parameters + attention)
    logits = batch.logits * 2.0 * shape.vocabulary * shape.hidden
    forward = blocks + logits
    reference = forward if _copies(method) > 1 else 0.0
    if not backward:
        return forward + reference
    again = forward if method.gradient_checkpointing else 0.0
    if method.kind == "full" and method.train_only is None:
        return 3 * forward + again + reference
    back = blocks * (layers_back(shape, method) / shape.layers) + logits
    own = 2.0 if method.kind == "full" else 6.0
    learned = own * trainable_parameters(shape, method) * batch.tokens
    # For DoRA's lengths of rows, B A is computed once a pass for any number of tokens.
    lengths = sum(
        2.0 * rank_of(one, method) * one.inputs * (one.inputs + one.outputs) * one.count
        for one in (targets(shape, method) if method.dora else ())
    )
    return forward + back + again + learned + lengths + reference


def unmeasured_duration(
    shape: ModelShape,
    method: Method,
    course: Course,
    *,
    backend: str,
    speed: float,
    bandwidth: float | None,
) -> dict[str, float]:
    """Return the seconds of each part of a training without a measurement on this machine.

    `speed` is in operations a second, `bandwidth` in bytes a second between the device and its memory.
    """
    trained, judged = trainable_parameters(shape, method), course.evaluation_batch
    passing = operations(shape, method, course.batch, backward=True) / speed
    step = course.passes * passing + STATE_BYTES * trained / (bandwidth or MEMORY_BYTES)
    forward = operations(shape, method, judged, backward=False) / judged.tokens
    written = 12 * trained  # each trained number, and two of the optimizer
    return {
        "start": STARTING.get(backend, 10.0),
        "steps": course.steps * step,
        "evaluations": course.evaluations * course.evaluation_tokens * forward / speed,
        "checkpoints": course.saves * written / CHECKPOINT_BYTES,
    }


def batch_of(method: Method, usage: Usage, *, learned: int) -> Batch:
    """Return the batch of a measured step after the first."""
    spent = usage.steps if usage.steps.count else usage.first
    each = spent.tokens / max(1, spent.count * method.batch_size)
    return Batch(rows=method.micro_batch_size, length=max(1, round(each)), learned=learned)


def measured_duration(
    method: Method, shape: ModelShape, course: Course, usage: Usage
) -> dict[str, float]:
    """Return the seconds of each part of a training that was measured on this machine, scaled to usual rows.

    The additional time of the first step, evaluation and checkpoint belongs to the start.
    """
    # A byte that the optimizer reads or writes counts as four operations: a CPU computes them in the time in which it
    # moves a byte. They are only used in this ratio.
    moved = 4.0 * STATE_BYTES * trainable_parameters(shape, method)
    usual, was = (
        course.passes * operations(shape, method, batch, backward=True) + moved
        for batch in (course.batch, batch_of(method, usage, learned=course.batch.learned))
    )
    # A training of a single step has no later one.
    spent = usage.steps if usage.steps.count else usage.first
    tokens = spent.tokens / max(1, spent.count)
    seconds = usage.steps.each or usage.first.each
    judged = usage.evaluations if usage.evaluations.tokens else usage.first_evaluation
    each_token = judged.seconds / judged.tokens if judged.tokens else 0.0
    saving = usage.saves.each or usage.first_save.each
    warming = (
        # The rows of the first step may be longer than others, which is no warming up.
        max(0.0, usage.first.seconds - seconds * usage.first.tokens / max(1.0, tokens))
        + max(0.0, usage.first_evaluation.seconds - each_token * usage.first_evaluation.tokens)
        + max(0.0, usage.first_save.seconds - saving)
    )
    return {
        "start": usage.starting.seconds + warming,
        "steps": course.steps * seconds * usual / was,
        "evaluations": course.evaluations * course.evaluation_tokens * each_token,
        "checkpoints": course.saves * saving,
        "end": usage.ending.seconds,
    }
