"""The most probable of given answers, for many prompts: exactly, and with no token fed twice.

An answer's log-probability is the sum over its tokens, terminator included, under the softmax over
the whole vocabulary. What all prompts share at the start goes through the model once. The rest of
each prompt, and the nodes of the answers' trie that its best-first search asks for
(`engine.runtime.scoring.label_search`), go through it in packed passes of many rows
(`engine.runtime.scoring.label_scoring`); logits are computed only where an answer is decided. So the number of
answers hardly matters.

Models with recurrent layers, with windows shorter than a row, or with attention of a kind not known
here go one row at a time.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import torch

from engine.errors import StageError
from engine.progress import Progress
from engine.runtime.models.load import (
    Lanes,
    LoadedModel,
    not_a_number,
    plain_logits,
    wants_single_rows,
)
from engine.runtime.scoring.label_search import (
    AnswerTree,
    LabelChoice,
    Search,
    common_prefix,
    make_tree,
)
from engine.runtime.scoring.likelihood import refuse_other_scores, sampled_rows
from engine.runtime.scoring.packed_cache import (
    PackedCache,
    Piece,
    UnsupportedModelError,
    attending,
)
from engine.values import Value

PASS_TOKENS = {"cpu": 512, "mps": 4096, "cuda": 8192}
"""Tokens of one forward pass, unless one row has more."""
STORE_BYTES = {"cpu": 128 << 20, "mps": 512 << 20, "cuda": 4 << 30}
"""Keys and values of the rows in flight, unless one row has more."""
LOGIT_BYTES = {"cpu": 30 << 20, "mps": 256 << 20, "cuda": 1 << 30}
"""Logits of one forward pass, in fp32; their softmax takes as much again."""
AT_ONCE = 16
"""Rows of logits that are summed at a time: few enough to stay in the processor's cache."""
Done = Callable[[int, Search], None]
"""`done(row, search)`, once each."""


@dataclass(slots=True, kw_only=True)
class _SearchInFlight:
    """A row in flight."""

    row: int
    search: Search
    slots: dict[int, list[int]] = field(default_factory=dict)
    """Slots of keys and values by branch; 0 is the prompt."""


class _Feed(Value):
    """A piece, and whose it is."""

    entry: _SearchInFlight
    number: int
    """The branch; 0 for the row itself."""
    piece: Piece
    scored_tokens: list[list[int]]
    """Tokens to score, by scored position of the piece."""


class PackedSearch:
    """All rows, many of them in flight at a time."""

    def __init__(self, loaded: LoadedModel, rows: Sequence[list[int]], tree: AnswerTree) -> None:
        self._loaded, self._rows, self._tree = loaded, rows, tree
        kind, self._prefix = loaded.device.type, common_prefix(rows)
        self._order = deque(sorted(range(len(rows)), key=lambda row: -len(rows[row])))
        self._deeper = [any(to >= 0 for to in branch.following) for branch in tree.branches]
        self._branch_slots = sum(
            len(branch.tokens)
            for branch, deeper in zip(tree.branches, self._deeper, strict=True)
            if deeper
        )
        longest = len(rows[self._order[0]]) - self._prefix
        self._tokens = max(PASS_TOKENS[kind], longest, *(len(b.tokens) for b in tree.branches))
        self._scored = max(
            LOGIT_BYTES[kind] // (4 * loaded.vocabulary), *(len(b.tokens) for b in tree.branches)
        )
        self._lanes = Lanes(loaded.device)
        self._cache = PackedCache(
            loaded,
            rows[self._order[0]],
            prefix=self._prefix,
            needs=[*map(self._needs, range(len(rows)))],
            most=STORE_BYTES[kind],
            # Branches without any behind them are not in `_needs`: they hold slots for one pass only.
            beside=self._lanes.count * self._tokens,
        )
        self._room, self._free = self._cache.room, self._cache.free

    def run(self, make: Callable[[], Search], done: Done) -> None:
        """Run every row to its end."""
        active: list[_SearchInFlight] = []
        with attending(self._loaded, self._cache), self._lanes as lanes:
            while active or self._order:
                passes = [self._next_feeds(active, make)]
                while len(passes) < lanes.count and (feeds := self._next_feeds(active, make)):
                    passes.append(feeds)
                found = lanes.run([partial(self._forward, feeds) for feeds in passes])
                # The longest row goes first, so the first logits are those behind its prompt.
                if len(logits := found[0][0]):
                    others = self._others(passes[0], logits)
                    self._cache.compare(self._loaded, logits[0], others)
                for feeds, (_, log_probs, best) in zip(passes, found, strict=True):
                    self._deliver(feeds, log_probs, best)
                remaining = [entry for entry in active if entry.search.wanted()]
                for entry in active:
                    if not entry.search.wanted():
                        self._free += itertools.chain.from_iterable(entry.slots.values())
                        done(entry.row, entry.search)
                active = remaining

    def _forward(self, feeds: Sequence[_Feed]) -> tuple[torch.Tensor, list[float], list[int]]:
        """Return the logits of the first pass (none of others), the scored log-probabilities and the best tokens."""
        logits = self._cache.forward(self._loaded, [feed.piece for feed in feeds])
        scored = [one for feed in feeds for one in feed.scored_tokens]
        # Those of the first pass are compared once more.
        kept = logits[:0] if self._cache.is_compared else logits
        return kept, *read_logits(logits, scored)

    def _others(
        self, feeds: Sequence[_Feed], logits: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, list[int]]]:
        place = len(feeds[0].scored_tokens)
        for one in feeds[1:]:
            yield logits[place], self._rows[one.entry.row]
            place += len(one.scored_tokens)

    def _next_feeds(self, active: list[_SearchInFlight], make: Callable[[], Search]) -> list[_Feed]:
        feeds: list[_Feed] = []
        tokens = scored = 0
        for entry in active:
            # What has slots is in another pass of this round.
            for number in (one for one in entry.search.wanted() if one not in entry.slots):
                count = len(self._tree.branches[number].tokens)
                # At least one feed a pass, so that one larger than the budget goes through alone.
                if feeds and (tokens + count > self._tokens or scored + count > self._scored):
                    return feeds
                feeds.append(self._feed(entry, number))
                tokens, scored = tokens + count, scored + count
        used = sum(self._needs(entry.row) for entry in active)
        while self._order:
            row = self._order[0]
            count = len(self._rows[row]) - self._prefix
            full = tokens + count > self._tokens or scored + 1 > self._scored
            if (feeds and full) or (active and used + self._needs(row) > self._room):
                break
            self._order.popleft()
            active.append(_SearchInFlight(row=row, search=make()))
            feeds.append(self._feed(active[-1], 0))
            tokens, scored, used = tokens + count, scored + 1, used + self._needs(row)
        return feeds

    def _needs(self, row: int) -> int:
        return len(self._rows[row]) - self._prefix + self._branch_slots

    def _feed(self, entry: _SearchInFlight, number: int) -> _Feed:
        """Return what is fed of a branch; of the first one, the row itself."""
        branch, whole = self._tree.branches[number], self._rows[entry.row]
        tokens: Sequence[int] = branch.tokens if number else whole[self._prefix :]
        slots = [self._free.pop() for _ in tokens]
        *before, _ = self._tree.path(number)
        scored = branch.scored
        piece = Piece(
            tokens=tokens,
            position=len(whole) + branch.depth if number else self._prefix,
            slots=slots,
            seen=[slot for at in before for slot in entry.slots[at]],
            scored=len(scored),
        )
        entry.slots[number] = slots
        return _Feed(entry=entry, number=number, piece=piece, scored_tokens=scored)

    def _deliver(
        self, feeds: Sequence[_Feed], log_probs: Sequence[float], best: Sequence[int]
    ) -> None:
        """Hand the searches their numbers; give slots back that nobody will look at again."""
        start = place = 0
        for one in feeds:
            end = start + sum(map(len, one.scored_tokens))
            positions = place + len(one.scored_tokens)
            take(one.entry.search, one.number, log_probs[start:end], best[place:positions])
            start, place = end, positions
            # No other branch attends to these tokens any more.
            if not self._deeper[one.number]:
                self._free += one.entry.slots.pop(one.number)


def take(search: Search, number: int, log_probs: Sequence[float], best: Sequence[int]) -> None:
    """Hand the log-probabilities and the best tokens to the search; StageError X612 for NaN."""
    try:
        search.take(number, log_probs, best)
    except ValueError as error:
        raise not_a_number("X612", f"the model's answer is not a number: {error}") from error


def read_logits(
    logits: torch.Tensor, scored_tokens: Sequence[Sequence[int]]
) -> tuple[list[float], list[int]]:
    """Return log p of the scored tokens, in one list, and the most probable token at each position of logits [n, V]."""
    where = [at for at, tokens in enumerate(scored_tokens) for _ in tokens]
    which = [token for tokens in scored_tokens for token in tokens]
    at = torch.tensor(where, device=logits.device)
    token = torch.tensor(which, device=logits.device)
    sums, best = list[torch.Tensor](), list[torch.Tensor]()
    for start in range(0, len(logits), AT_ONCE):
        part = logits[start : start + AT_ONCE].float()
        sums.append(torch.logsumexp(part, -1))
        # as decoding finds it (engine.runtime.generation.generate), so that both break ties alike
        best.append(part.max(dim=-1).indices)
    log_probs: list[float] = (logits[at, token].float() - torch.cat(sums)[at]).tolist()
    return log_probs, torch.cat(best).tolist()


def choose(
    loaded: LoadedModel,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    progress: Progress,
    distribution: bool = False,
) -> list[LabelChoice]:
    """Return for each prompt the most probable of `answers`; with `distribution`, all their shares.

    `answers` end with the chat's terminator. StageError X611 when two answers cannot be distinguished
    by their tokens, X612 when the model's answer is not a number, X803 where rows that are scored once more the plain
    way have other numbers.
    """
    try:
        tree = make_tree([loaded.chat.token_ids(answer) for answer in answers])
    except ValueError as error:
        what = f"the answers cannot be distinguished by their tokens: {error}"
        hint = "rename one of the labels"
        raise StageError.one("X611", what, hint=hint) from error
    choices: dict[int, LabelChoice] = {}
    sample, searches = sampled_rows(prompts), dict[int, Search]()

    def done(row: int, search: Search) -> None:
        choices[row] = search.choice
        if row in sample:
            searches[row] = search
        progress.update(len(choices), len(prompts), "rows")

    search_rows(
        loaded, prompts, tree, make=lambda: Search(tree, distribution=distribution), done=done
    )
    if tree.branches:
        rows = {row: [*loaded.chat.token_ids(prompts[row]), *tree.forced] for row in searches}
        refuse_other_scores(loaded, tree, rows, searches)
    return [choices[row] for row in range(len(prompts))]


@torch.inference_mode()
def search_rows(
    loaded: LoadedModel,
    prompts: Sequence[str],
    tree: AnswerTree,
    *,
    make: Callable[[], Search],
    done: Done,
) -> None:
    """Run one search of `make` for each prompt to its end and hand it to `done`, in any order."""
    if not tree.branches:
        for row in range(len(prompts)):
            done(row, make())
        return
    if not prompts:
        return
    rows = [[*ids, *tree.forced] for ids in loaded.chat.all_token_ids(prompts)]
    if not wants_single_rows(loaded.model.config, max(map(len, rows)) + tree.depth):
        # raised by the first pass, before any row is done, so `done` is called for each row once
        with suppress(UnsupportedModelError):
            PackedSearch(loaded, rows, tree).run(make, done)
            return
    for row, asked in enumerate(rows):
        search = make()
        while wanted := search.wanted():
            for number in wanted:
                # The whole row again for each branch: a recurrent state cannot be taken back.
                path = [token for at in tree.path(number) for token in tree.branches[at].tokens]
                tokens, scored = [*asked, *path], tree.branches[number].scored
                places = range(len(tokens) - len(scored), len(tokens))
                (logits,) = plain_logits(loaded.model, [tokens], [places])
                take(search, number, *read_logits(logits, scored))
        done(row, search)
