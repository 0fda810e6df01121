"""Exact label scoring as a best-first search in a trie of token ids: no model, no numeric library.

An answer's score is the sum of the log-probabilities of its tokens, under the softmax over the
whole vocabulary. No token adds more than nothing, so what is known of an answer bounds it from
above: the best partial sum is looked into next, and when a whole answer stands on top, it is the
one that scoring every answer would find. The same search drives transformers
(`engine.runtime.scoring.label_scoring`) and llama.cpp (`engine.runtime.llama.worker`).

    tree = make_tree(answers)               # once
    feed(prompt + tree.forced)              # each row; its last logits answer branch 0
    search = Search(tree)
    search.take(0, log_probabilities_of(tree.branches[0].allowed))
    while wanted := search.wanted():
        for number in wanted:
            branch = tree.branches[number]
            feed(branch.tokens)             # behind branch.parent
            search.take(number, log_probabilities_of([*branch.tokens[1:], *branch.allowed]))
    search.choice
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.values import Value, replace

SMALLEST: Final = 1e-6
"""Shares below are taken for this: the search leaves out answers that together have less than a thousandth, and their 0
stands for something. A far smaller one lets the rows of which the model is sure decide the temperature alone."""


def tempered(shares: Sequence[float], temperature: float) -> tuple[float, ...]:
    """Return `softmax(log(shares) / temperature)`; above 1 less certain, at 1 as they are."""
    if temperature == 1:
        return tuple(shares)
    logs = [math.log(max(share, SMALLEST)) / temperature for share in shares]
    highest = max(logs)
    weights = [math.exp(value - highest) for value in logs]
    whole = sum(weights)
    return tuple(weight / whole for weight in weights)


TOLERANCE = 1e-3
"""Probabilities are known to this: what has not been looked into may hold this share of the rest."""


class LabelChoice(Value):
    """The answer a model gave among those allowed."""

    index: int
    """Into the answers given."""
    probability: float
    """Its share among the answers: exactly with `probabilities`, otherwise at least this."""
    probabilities: tuple[float, ...] = ()
    greedy: int | None = None
    """The answer that greedy decoding would give by itself, where the search saw that it is one of them."""


@dataclass(slots=True)
class Node:
    """One state: the tokens that may follow, or the answer that has been reached."""

    children: dict[int, Node] = field(default_factory=dict)
    answer: int | None = None


def build_trie(answers: Sequence[Sequence[int]]) -> Node:
    """Return the trie of answers given as token ids.

    ValueError when two answers have the same tokens or one begins with all of another: the model
    then could not say one of them. Answers that end with the turn's terminator never collide so.
    """
    root = Node()
    for index, tokens in enumerate(answers):
        node = root
        for token in tokens:
            if node.answer is not None:
                raise ValueError(f"answer {index} begins with the whole of answer {node.answer}")
            node = node.children.setdefault(token, Node())
        if node.children or node.answer is not None:
            raise ValueError(f"answer {index} is the beginning of another answer")
        node.answer = index
    return root


def common_prefix(sequences: Sequence[list[int]]) -> int:
    """Return how many first tokens all sequences share, leaving each at least one of its own."""
    if not sequences:
        return 0
    # What the first and the last in order share, all between them share too.
    first, last = min(sequences), max(sequences)
    limit = min(len(sequence) for sequence in sequences) - 1
    shared = 0
    while shared < limit and first[shared] == last[shared]:
        shared += 1
    return shared


class Branch(Value):
    """A node of the trie and those that it forces: what is fed in one go."""

    tokens: tuple[int, ...]
    """Tokens that are fed; none for the first branch, which is at the end of the prompt."""
    allowed: tuple[int, ...]
    """Tokens that may follow the last of them."""
    following: tuple[int, ...]
    """By allowed token: the branch that begins with it, or ~answer where it ends that answer."""
    parent: int
    """The branch it stands behind; -1 for the first."""
    depth: int
    """Tokens fed between the end of the prompt and the first of `tokens`."""
    first: int
    """The lowest answer that it leads to."""

    @property
    def scored(self) -> list[list[int]]:
        """The tokens that are scored behind each fed one: the one that follows; behind the last all allowed ones.

        Of the first branch, which feeds none, the latter alone.
        """
        return [*([token] for token in self.tokens[1:]), [*self.allowed]]


class AnswerTree(Value):
    """All answers, as branches; a parent stands before its children."""

    answers: int
    forced: tuple[int, ...]
    """Tokens that begin every answer: they belong to the prompt, and are not scored."""
    branches: tuple[Branch, ...]
    """None where there is one answer only."""

    @property
    def depth(self) -> int:
        """The most tokens that are fed behind a prompt to come to the end of a branch."""
        return max((branch.depth + len(branch.tokens) for branch in self.branches), default=0)

    def path(self, number: int) -> list[int]:
        """Return the branches from the first one to this one."""
        found = [number]
        while (parent := self.branches[found[0]].parent) >= 0:
            found.insert(0, parent)
        return found


def make_tree(answers: Sequence[Sequence[int]]) -> AnswerTree:
    """Return the tree of answers given as token ids; ValueError as `build_trie`."""
    root = build_trie(answers)
    if len(answers) == 1:
        return AnswerTree(answers=1, forced=tuple(answers[0]), branches=())
    forced, node = _chain((), root)
    branches: list[Branch] = []
    _add((), node, -1, 0, branches)
    return AnswerTree(answers=len(answers), forced=forced, branches=tuple(branches))


def _chain(tokens: tuple[int, ...], node: Node) -> tuple[tuple[int, ...], Node]:
    while len(node.children) == 1:
        ((token, child),) = node.children.items()
        if child.answer is not None:
            break
        tokens, node = (*tokens, token), child
    return tokens, node


def _add(
    tokens: tuple[int, ...], node: Node, parent: int, depth: int, branches: list[Branch]
) -> int:
    """Append the branch and all behind it; return its number."""
    number = len(branches)
    # Reserves the number before its children take theirs.
    branches.append(
        Branch(tokens=tokens, allowed=(), following=(), parent=parent, depth=depth, first=0)
    )
    following: list[int] = []
    for token, child in node.children.items():
        if child.answer is not None:
            following.append(~child.answer)
        else:
            chain, end = _chain((token,), child)
            following.append(_add(chain, end, number, depth + len(tokens), branches))
    branches[number] = replace(
        branches[number],
        allowed=tuple(node.children),
        following=tuple(following),
        first=min(~to if to < 0 else branches[to].first for to in following),
    )
    return number


class Search:
    """One prompt's search for its most probable answer."""

    __slots__ = ("_best_tokens", "_heap", "_open", "_tolerance", "_tree", "expanded", "scores")

    def __init__(
        self, tree: AnswerTree, *, distribution: bool = False, exhaustive: bool = False
    ) -> None:
        """Look for the best answer; or on, until all shares are known; or into everything."""
        self._tree = tree
        self._tolerance = 0.0 if exhaustive else TOLERANCE if distribution else None
        self.scores: dict[int, float] = {}
        """The log-probability of each answer reached, less that of what all answers begin with."""
        self.expanded = 0
        """Nodes fed so far, the end of the prompt not counted."""
        self._open: dict[int, float] = {}
        self._heap: list[tuple[float, int, int]] = []
        """(-score, lowest answer, branch or ~answer); branches that are not open any more are stale."""
        self._best_tokens: dict[int, Sequence[int]] = {}
        """By branch: the most probable token of the whole vocabulary at each scored position."""
        self._push(0 if tree.branches else ~0, 0.0, 0)

    def wanted(self) -> tuple[int, ...]:
        """Return the branches to look into now: the best one or, for shares, all that are needed anyway."""
        if not self._open:
            return ()
        if self._tolerance == 0.0:
            return tuple(sorted(self._open))
        best = self._best()
        needed = () if self._tolerance is None else self._needed(self._tolerance)
        return needed or ((best,) if best >= 0 else ())

    def take(
        self, number: int, log_probabilities: Sequence[float], best_tokens: Sequence[int] = ()
    ) -> None:
        """Record the scores at a branch: log p of its `tokens[1:]` and of each of `allowed`.

        `best_tokens` are the most probable ones of the whole vocabulary at the same positions; with them
        `choice` knows what greedy decoding says. ValueError for what is not a number.
        """
        branch = self._tree.branches[number]
        forced = max(len(branch.tokens) - 1, 0)
        if len(log_probabilities) != forced + len(branch.allowed):
            raise ValueError(f"branch {number} takes {forced + len(branch.allowed)} numbers")
        if any(math.isnan(value) for value in log_probabilities):
            raise ValueError("a log-probability is not a number")
        self._best_tokens[number] = best_tokens
        base = self._open.pop(number) + math.fsum(log_probabilities[:forced])
        self.expanded += len(branch.tokens)
        for to, value in zip(branch.following, log_probabilities[forced:], strict=True):
            self._push(to, base + value, ~to if to < 0 else self._tree.branches[to].first)

    @property
    def choice(self) -> LabelChoice:
        """The answer, once nothing is wanted any more. Ties: the first one."""
        index = ~self._best()
        if self._tolerance is None:
            # those of the other answers reached, and of what may hold more of them
            others = [score for answer, score in self.scores.items() if answer != index]
            shares = _shares([self.scores[index], *others, *self._open.values()])
            return LabelChoice(index=index, probability=shares[0], greedy=self._greedy())
        shares = _shares(self.scores.values())
        found = dict(zip(self.scores, shares, strict=True))
        every = tuple(found.get(answer, 0.0) for answer in range(self._tree.answers))
        return LabelChoice(
            index=index, probability=found[index], probabilities=every, greedy=self._greedy()
        )

    def _greedy(self) -> int | None:
        """Follow the most probable tokens down the tree; None where they leave it, or nobody looked."""
        if self._tree.forced:
            # fed with the prompt and never scored: its own choice there might be another
            return None
        number = 0
        while found := self._best_tokens.get(number):
            branch = self._tree.branches[number]
            *inner, last = found
            if tuple(inner) != branch.tokens[1:] or last not in branch.allowed:
                return None
            number = branch.following[branch.allowed.index(last)]
            if number < 0:
                return ~number
        return None

    def _push(self, code: int, score: float, first: int) -> None:
        if code < 0:
            self.scores[~code] = score
        else:
            self._open[code] = score
        heapq.heappush(self._heap, (-score, first, code))

    def _best(self) -> int:
        # Branches that were looked into stay in the heap until they come up; taking them out at once costs more.
        while (code := self._heap[0][2]) >= 0 and code not in self._open:
            heapq.heappop(self._heap)
        return code

    def _needed(self, tolerance: float) -> tuple[int, ...]:
        """Return the largest open branches that cannot all be left closed; none when the rest is little."""
        order = sorted(self._open, key=lambda number: (-self._open[number], number))
        top = max([*self.scores.values(), self._open[order[0]]])
        if top == -math.inf:
            return tuple(order)
        mass = [math.exp(self._open[number] - top) for number in order]
        reached = math.fsum(math.exp(score - top) for score in self.scores.values())
        left = math.fsum(mass)
        if left <= tolerance * reached:
            return ()
        may_stay, count = tolerance * (reached + left), len(order)
        while count > 1 and mass[count - 1] <= may_stay:
            may_stay -= mass[count - 1]
            count -= 1
        return tuple(order[:count])


def _shares(scores: Iterable[float]) -> list[float]:
    """Return the softmax; equal shares where nothing is possible."""
    given = list(scores)
    top = max(given)
    parts = [math.exp(score - top) if top > -math.inf else 1.0 for score in given]
    total = math.fsum(parts)
    return [part / total for part in parts]
