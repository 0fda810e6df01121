"""The most probable tokens of a teacher at the learned tokens of rows, with the logarithms of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.scoring.likelihood import Pack, learned_logits, packs
from engine.runtime.training.soft_targets import Targets

__all__ = ["Pack", "packs", "targets_of"]


@torch.inference_mode()
def targets_of(loaded: LoadedModel, pack: Pack, *, most: int, vocabulary: int) -> list[Targets]:
    """Return the targets of each row of a pack: the `most` likeliest of the first `vocabulary` tokens.

    Rows of the embedding beyond those tokens pad it, and mean nothing. StageError X745 when the teacher's numbers are
    not finite.
    """
    tokens, logs = [], []
    for logits in learned_logits(loaded, pack):
        found = logits[:, :vocabulary].float().log_softmax(-1).topk(min(most, vocabulary), dim=-1)
        tokens.append(found.indices.cpu())
        logs.append(found.values.cpu())
    counts = _counts(pack.rows)
    if not tokens:
        empty = torch.zeros(0, min(most, vocabulary))
        return [Targets(tokens=empty.int(), log_probabilities=empty.half()) for _ in counts]
    together = torch.cat(logs)
    # The least likely of the kept ones may have a probability of 0 in half precision; the likeliest never has.
    if bool(together.isnan().any()) or not bool(together[:, 0].isfinite().all()):
        raise StageError.one(
            "X745",
            "the teacher's probabilities of a row are not numbers",
            path="teacher.model",
            hint="set `backend.precision: fp32`, or name another teacher",
        )
    # As finite numbers: what is impossible is then as good as that.
    logs16 = together.clamp(min=torch.finfo(torch.float16).min).half()
    ids = torch.cat(tokens).int()
    ends = [*accumulate(counts)]
    return [
        Targets(tokens=ids[begin:end], log_probabilities=logs16[begin:end])
        for begin, end in zip([0, *ends], ends, strict=False)
    ]


def _counts(rows: Sequence[TokenRow]) -> list[int]:
    return [sum(row.learned[1:]) for row in rows]
