"""Log-likelihood of rows by a transformers model: the loss that training would see, without a step.

A row is what training reads: segments that are learned from and segments that are not. The loss is
summed over the learned tokens alone, each given all tokens before it; logits are computed only where
one of them is decided, a few positions at a time, so the vocabulary costs no memory to speak of.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import torch

from engine.errors import StageError
from engine.progress import Progress
from engine.runtime.models.load import LoadedModel, causal_model, not_a_number, plain_logits
from engine.runtime.rendering.segments import Segment, TokenRow, token_row
from engine.runtime.scoring.label_search import AnswerTree, Search
from engine.values import Value

EACH: Final = 500
"""One row in so many beyond the one of middle length: what pads rows does not touch the longest.

A wrong cache or start gives every row other numbers. What does so to a share q of them only is missed with a chance of
(1 - q) to the number of rows that are looked at.
"""
FAR: Final = {torch.float32: 0.01, torch.bfloat16: 1.0, torch.float16: 0.3}
"""Nats a token, on the mean of the rows. Rounding moves single log-probabilities by 0.3 in bfloat16."""


def sampled_rows(prompts: Sequence[str]) -> frozenset[int]:
    """Return the rows that are scored once more."""
    order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
    return frozenset({*range(EACH, len(prompts), EACH), *order[len(order) // 2 :][:1]})


@torch.inference_mode()
def refuse_other_scores(
    loaded: LoadedModel,
    tree: AnswerTree,
    rows: Mapping[int, Sequence[int]],
    searches: Mapping[int, Search],
) -> None:
    """StageError X803 where searches of `rows` have other scores than plain ones."""
    # A cache that is wrong for a model's attention gives numbers that look like any others. The answer that comes
    # second is asked where there is one: of an answer that the model is sure of, a wrong context changes the least.
    asked = []
    for row, search in searches.items():
        order = sorted(search.scores, key=lambda answer: (-search.scores[answer], answer))
        answer = order[min(1, len(order) - 1)]
        if not math.isfinite(score := search.scores[answer]):
            continue
        number = next(at for at, branch in enumerate(tree.branches) if ~answer in branch.following)
        last = tree.branches[number]
        path = [token for at in tree.path(number) for token in tree.branches[at].tokens]
        path.append(last.allowed[last.following.index(~answer)])
        asked.append((rows[row], path, score))
    found = plain_logits(
        loaded.model,
        [[*row, *tokens[:-1]] for row, tokens, _ in asked],
        [range(len(row) - 1, len(row) - 1 + len(tokens)) for row, tokens, _ in asked],
    )
    away = [
        abs(_of(logits, tokens) - known) / len(tokens)
        for logits, (_, tokens, known) in zip(found, asked, strict=True)
    ]
    if away:
        _refuse(loaded, math.fsum(away) / len(away), len(away))


@torch.inference_mode()
def refuse_other_nats(loaded: LoadedModel, row: TokenRow, nats: float) -> None:
    """StageError X803 where a row has another likelihood alone than in a batch, whose longer rows pad it."""
    places = [at for at in range(1, len(row.ids)) if row.learned[at]]
    if places:
        (logits,) = plain_logits(loaded.model, [row.ids[:-1]], [[at - 1 for at in places]])
        apart = abs(_of(logits, [row.ids[at] for at in places]) + nats)
        _refuse(loaded, apart / len(places), 1)


def _refuse(loaded: LoadedModel, apart: float, rows: int) -> None:
    # Written this way round, so that NaN fails too.
    if not apart <= FAR.get(loaded.model.dtype, 1.0):
        raise StageError.one(
            "X803",
            f"of {rows} rows that were scored once more, with nothing cached or shared, the answers differ by"
            f" {apart:.2g} nats a token: the scores of all rows are wrong",
            hint="report it with the base model's config.json; another version of transformers may be right",
        )


def _of(logits: torch.Tensor, tokens: Sequence[int]) -> float:
    shares = logits.log_softmax(-1)
    return math.fsum(shares[range(len(tokens)), list(tokens)].tolist())


TOKENS_PER_PASS = {"cpu": 2048, "mps": 8192, "cuda": 32768}
"""Padded tokens in one forward pass, unless one row has more."""
LOGIT_BYTES = {"cpu": 48 << 20, "mps": 256 << 20, "cuda": 1 << 30}
PROBED = 8


class Likelihood(Value):
    """Likelihood of the learned part of one row."""

    nll: float
    tokens: int
    ends: bool
    """The last learned token, which ends the answer, is the one that the model finds most probable there."""


def continuations(
    loaded: LoadedModel, asked: Sequence[tuple[str, str]], *, progress: Progress
) -> list[float]:
    """Return minus the log-probability of each continuation behind its context, (context, continuation).

    As lm-evaluation-harness does it: both are tokenised together, and what the context alone does not have belongs to
    the continuation, as white space at the context's end does. Where nothing stands before, the model's own first
    token does. StageError X616 for a loss that is not finite.
    """
    chat, rows = loaded.chat, []
    # What texts of this model begin with: its own token for that, or the one that ends them.
    known = (chat.tokenizer.bos_token_id, chat.tokenizer.eos_token_id)
    first = next((int(token) for token in known if token is not None), 0)
    for context, text in asked:
        before, ids, start = context.rstrip(), chat.token_ids(context + text), 1
        if not before:
            ids.insert(0, first)
        else:
            # At least one token is scored, also where the tokenizer joins the whole text to the context.
            start = max(1, min(len(chat.token_ids(before)), len(ids) - 1))
        learned = tuple(index >= start for index in range(len(ids)))
        rows.append(TokenRow(ids=tuple(ids), learned=learned))
    return [one.nll for one in likelihood(loaded, rows, progress=progress)]


@torch.inference_mode()
def likelihood(
    loaded: LoadedModel, rows: Sequence[Sequence[Segment] | TokenRow], *, progress: Progress | None
) -> list[Likelihood]:
    """Return the negative log-likelihood of what is learned in each row; None says nothing of how far it is.

    The first token of a row has nothing before it and is never counted. StageError X616 when the
    model's numbers are not finite, X803 where a padded row has another likelihood alone.
    """
    token_rows = [row if isinstance(row, TokenRow) else token_row(loaded.chat, row) for row in rows]
    results = [(0.0, False)] * len(rows)
    done = 0
    for members, pack in packs(loaded, token_rows):
        sums = _sums(loaded, pack)
        for member, sums_of_row in zip(members, sums, strict=True):
            results[member] = sums_of_row
        # The shortest of the first rows that stand together, which the others pad.
        if not done and len(members) > 1 and (places := pack.places()):
            shortest, _ = places[-1]
            refuse_other_nats(loaded, pack.rows[shortest], sums[shortest][0])
        done += len(members)
        if progress is not None:
            progress.update(done, len(rows), "rows")
    return [
        Likelihood(nll=nll, tokens=sum(row.learned[1:]), ends=ends)
        for row, (nll, ends) in zip(token_rows, results, strict=True)
    ]


class Pack(Value):
    """Rows that go through a model together, each up to its last learned token."""

    rows: tuple[TokenRow, ...]
    in_parts: bool
    """The head alone makes logits of hidden states, so that those of a few places can be made at a time."""

    def places(self) -> list[tuple[int, int]]:
        """Return row and place of each learned token that has one before it, in order."""
        return [
            (index, at)
            for index, row in enumerate(self.rows)
            for at in range(1, len(row.ids))
            if row.learned[at]
        ]


def packs(loaded: LoadedModel, rows: Sequence[TokenRow]) -> Iterator[tuple[list[int], Pack]]:
    """Yield places in `rows`, and the rows that stand there, cut behind what is learned: the longest first."""
    longest = max(rows, key=lambda row: len(row.ids), default=None)
    in_parts = longest is not None and bool(longest.ids) and _is_plain_head(loaded, longest)
    # A head that scales or caps its logits is asked for all of them, one row at a time to bound the memory.
    budget = TOKENS_PER_PASS[loaded.device.type] if in_parts else 1
    cut = []
    for row in rows:
        end = max((index + 1 for index, learned in enumerate(row.learned) if learned), default=0)
        cut.append(TokenRow(ids=row.ids[:end], learned=row.learned[:end]))
    order = sorted(range(len(rows)), key=lambda index: (-len(cut[index].ids), index))
    start = 0
    while start < len(order):
        count = max(1, budget // max(len(cut[order[start]].ids), 1))
        members = order[start : start + count]
        yield members, Pack(rows=tuple(cut[member] for member in members), in_parts=in_parts)
        start += count


def _sums(loaded: LoadedModel, pack: Pack) -> list[tuple[float, bool]]:
    """Return the nats of the learned tokens of each row, and whether the last is the most probable."""
    places = pack.places()
    sums = torch.zeros(len(pack.rows), dtype=torch.float64)
    if not places:
        return [(0.0, False)] * len(pack.rows)
    targets = torch.tensor([pack.rows[index].ids[at] for index, at in places], device=loaded.device)
    parts, done = [], 0
    for logits in learned_logits(loaded, pack):
        wanted = targets[done : done + len(logits)]
        nats = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
        parts.append((nats, logits.argmax(-1) == wanted))
        done += len(logits)
    nll, best = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    sums.index_add_(0, torch.tensor([index for index, _ in places]), nll.double())
    if not bool(sums.isfinite().all()):
        raise not_a_number("X616", "the model's likelihood of a row is not a number")
    ends = {index: hit for (index, _), hit in zip(places, best.tolist(), strict=True)}
    return [(value, ends.get(index, False)) for index, value in enumerate(sums.tolist())]


def learned_logits(loaded: LoadedModel, pack: Pack) -> Iterator[torch.Tensor]:
    """Yield the logits, [n, V], of the tokens at `pack.places()`, in order; rows are padded at their ends."""
    # One less: the last token of a row is only predicted.
    width = max((len(row.ids) for row in pack.rows), default=0) - 1
    ids = torch.zeros(len(pack.rows), max(width, 0), dtype=torch.long)
    for index, row in enumerate(pack.rows):
        fed = row.ids[:width]
        ids[index, : len(fed)] = torch.tensor(fed, dtype=torch.long)
    where = torch.tensor([(index, at - 1) for index, at in pack.places()], device=loaded.device)
    if not len(where):
        return
    if not pack.in_parts:
        logits = loaded.model(input_ids=ids.to(loaded.device), use_cache=False).logits
        yield logits[where[:, 0], where[:, 1]]
        return
    hidden = _hidden(loaded, ids)[where[:, 0], where[:, 1]]
    head = causal_model(loaded.model).get_output_embeddings()
    count = max(1, LOGIT_BYTES[loaded.device.type] // (4 * head.weight.shape[0]))
    for start in range(0, len(hidden), count):
        yield head(hidden[start : start + count])


def _hidden(loaded: LoadedModel, ids: torch.Tensor) -> torch.Tensor:
    """Return what the last layer makes of each token, [B, L, D], before it becomes logits."""
    body = causal_model(loaded.model).base_model
    hidden: torch.Tensor = body(input_ids=ids.to(loaded.device), use_cache=False).last_hidden_state
    return hidden


def _is_plain_head(loaded: LoadedModel, row: TokenRow) -> bool:
    """Return whether the head alone makes logits; some models scale or cap them, each in its own way."""
    ids = torch.tensor([row.ids[:PROBED]])
    logits = loaded.model(input_ids=ids.to(loaded.device), use_cache=False, logits_to_keep=1).logits
    by_head = causal_model(loaded.model).get_output_embeddings()(_hidden(loaded, ids)[:, -1:])
    return torch.allclose(logits.float(), by_head.float(), rtol=1e-2, atol=1e-2)
