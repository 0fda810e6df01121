"""llama.cpp as it is needed here: many rows behind one shared start, and what may follow each of them.

What all rows share at the start is decoded once. Every row is a lane (a sequence of the cache) that
borrows the cells of the shared start, and what is looked into behind a row is a lane that borrows the
cells of the row: `memory_seq_cp` on a unified cache copies nothing. Logits are read only where asked
for, as a NumPy array: a sampler of ours is handed them six times faster than a Python list is built.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import numpy as np
from inferna.llama import llama_cpp
from numpy.typing import NDArray

from engine.runtime.scoring.label_search import common_prefix
from engine.values import Value

Logits = NDArray[np.float32]

ROWS = 16
LANES = 240
"""Sequences, at most; llama.cpp knows 256."""
TOKENS = 512
CELLS = 8192
PARTS = 2
"""Parts of the rows, which are evaluated in parallel."""
START = -1
"""The node at the end of a row."""


class FeedRequest(Value):
    """Tokens to feed, and where logits are wanted."""

    node: int
    """Name of the place at their end; names are the job's own."""
    behind: int
    """The node they stand behind: `START` for the end of the row."""
    tokens: Sequence[int]
    every: bool = False
    """Logits at each of the tokens, not only at the last."""
    moves: bool = False
    """Nothing else will be asked behind `behind`, so its place is taken over."""


class Job(Protocol):
    """A job behind one row."""

    cells: int

    def begin(self, logits: Logits) -> None: ...

    def requests(self) -> Sequence[FeedRequest]:
        """Return what to feed next, in the order of its nodes' names; nothing at the end."""

    def take(self, request: FeedRequest, logits: Sequence[Logits]) -> None: ...


class _LogitReader:
    """A sampler that chooses nothing and keeps the logits it is shown."""

    name = "reader"

    def __init__(self) -> None:
        self.seen: Logits = np.empty(0, dtype=np.float32)

    def apply(self, ids: Any, logits: Any, probs: Any) -> int:
        self.seen = np.frombuffer(logits, dtype=np.float32)
        return 0


class Engine:
    """A llama.cpp model on the CPU."""

    def __init__(self, gguf: str, *, threads: int) -> None:
        params = llama_cpp.LlamaModelParams()
        params.n_gpu_layers = 0
        self.model = llama_cpp.LlamaModel(gguf, params, verbose=False)
        self.vocab: Any = self.model.get_vocab()
        self.threads = threads
        self.window: int | None = self.model.n_ctx_train or None
        """Tokens that the model reads at most; None where the file does not say."""

    def tokens(self, text: str, *, as_sent: bool = False) -> list[int]:
        """Return the tokens of text, special ones recognised; those that the file adds only where `as_sent`."""
        return list(self.vocab.tokenize(text, add_special=as_sent, parse_special=True))

    def read(
        self,
        texts: Sequence[str],
        *,
        known: Mapping[str, list[int]] | None = None,
        as_sent: bool = False,
    ) -> list[list[int]]:
        """Return the tokens of texts that nothing is answered to, to be compared; those of some are `known`."""
        before = known or {}
        return [before.get(text) or self.tokens(text, as_sent=as_sent) for text in texts]

    def text(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of tokens; control tokens in it only where `special`."""
        pieces = (self.vocab.token_to_piece_bytes(token, 0, special) for token in tokens)
        return b"".join(pieces).decode("utf-8", errors="replace")


class Context:
    """A cache, and a batch to fill it with."""

    def __init__(
        self, engine: Engine, *, cells: int, batch: int, lanes: int, threads: int = 0
    ) -> None:
        """Take the memory of so many tokens for so many sequences; without a number, all threads of the engine."""
        params = llama_cpp.LlamaContextParams()
        params.n_ctx = cells
        params.n_batch = batch
        params.n_ubatch = min(TOKENS, batch)
        params.n_seq_max = lanes
        # One cache for all sequences: `memory_seq_cp` then lends cells where it would copy them.
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads or engine.threads
        self.size = batch
        self._context = llama_cpp.LlamaContext(engine.model, params, verbose=False)
        self._batch = llama_cpp.LlamaBatch(n_tokens=batch, embd=0, n_seq_max=1, verbose=False)
        self._reader = _LogitReader()
        self._sampler = llama_cpp.LlamaSampler(llama_cpp.LlamaSamplerChainParams())
        self._sampler.add_custom(self._reader)
        self._used = 0

    def add(self, lane: int, start: int, tokens: Sequence[int], *, wanted: Sequence[bool]) -> int:
        """Put tokens into the batch; return the place of the last."""
        for offset, (token, want) in enumerate(zip(tokens, wanted, strict=True)):
            self._batch.add(token, start + offset, [lane], want)
        self._used += len(tokens)
        return self._used - 1

    def decode(self) -> None:
        """Run the batch and begin a new one; its logits can be read until the next."""
        if self._used and self._context.decode(self._batch) != 0:
            raise RuntimeError("llama.cpp found no room for the batch")
        self._batch.clear()
        self._used = 0

    def logits(self, place: int) -> Logits:
        self._sampler.sample(self._context, place)
        return self._reader.seen

    def share(self, lane: int, other: int) -> None:
        self._context.memory_seq_cp(lane, other, -1, -1)

    def drop(self, lane: int, start: int = -1) -> None:
        self._context.memory_seq_rm(lane, start, -1)

    def feed(self, lane: int, start: int, tokens: Sequence[int], *, wanted: bool = False) -> int:
        """Run tokens, with logits of the last one where `wanted`; return its place in its batch."""
        place = 0
        for begin in range(0, len(tokens), self.size):
            part = tokens[begin : begin + self.size]
            ends = wanted and begin + len(part) == len(tokens)
            place = len(part) - 1
            self.add(lane, start + begin, part, wanted=[False] * place + [ends])
            self.decode()
        return place


@dataclass(slots=True, kw_only=True)
class _CachedRow:
    """One row in the cache."""

    job: Job
    end: int
    lane: int
    nodes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By node in the cache: its lane, and its position."""
    known: dict[int, FeedRequest] = field(default_factory=dict)
    used: int = 0


def run_beside(
    engine: Engine, rows: Sequence[list[int]], jobs: Sequence[Job], report: Callable[[int], None]
) -> None:
    """Do all jobs, those of two halves of the rows beside each other: threads that share a batch wait for each other.

    Which rows are together, and so how sums are rounded, depends on the rows alone: with one thread the halves are
    asked one after the other.
    """
    parts = min(PARTS, max(1, len(rows) // ROWS))
    order = sorted(range(len(rows)), key=lambda at: (-len(rows[at]), rows[at]))
    done, lock = [0] * parts, Lock()

    def run(part: int) -> None:
        def note(count: int) -> None:
            with lock:
                done[part] = count
                report(sum(done))

        members = order[part::parts]
        own = [rows[at] for at in members], [jobs[at] for at in members]
        PrefixedRows(engine, *own, parts=parts).run(note)

    with ThreadPoolExecutor(min(parts, engine.threads)) as pool:
        for future in [pool.submit(run, part) for part in range(parts)]:
            future.result()


class PrefixedRows:
    """Rows behind one shared start, asked in groups."""

    def __init__(
        self,
        engine: Engine,
        rows: Sequence[list[int]],
        jobs: Sequence[Job],
        *,
        shares: bool = True,
        parts: int = 1,
    ) -> None:
        """Plan the groups and decode what all rows share; with one of so many parts of the threads and of the cache."""
        self._rows, self._jobs = rows, jobs
        self._prefix = common_prefix(rows) if shares else 0
        longest = max(map(len, rows))
        self._room = max(TOKENS, longest - self._prefix)
        most = max(job.cells for job in jobs)
        all_of_them = sum(
            len(row) - self._prefix + job.cells for row, job in zip(rows, jobs, strict=True)
        )
        self._cells = self._prefix + max(min(CELLS // parts, all_of_them), longest + most)
        # Lane 0 holds the shared start; a row takes one, and each place that is looked into behind it another.
        lanes = min(LANES, 1 + min(ROWS, len(rows)) * (1 + max(1, most)))
        threads = max(1, engine.threads // parts)
        self._context = Context(
            engine, cells=self._cells, batch=self._room, lanes=lanes, threads=threads
        )
        self._context.feed(0, 0, rows[0][: self._prefix])
        self._free = list(range(lanes - 1, 0, -1))

    def run(self, report: Callable[[int], None]) -> None:
        """Do all jobs; call `report` after each group with the number of rows done."""
        done = 0
        for members in self._groups():
            going, ends = list[_CachedRow](), []
            for member in members:
                row, lane = self._rows[member], self._free.pop()
                if self._prefix:
                    self._context.share(0, lane)
                going.append(_CachedRow(job=self._jobs[member], end=len(row), lane=lane))
                tokens = row[self._prefix :]
                wanted = [False] * (len(tokens) - 1) + [True]
                ends.append(self._context.add(lane, self._prefix, tokens, wanted=wanted))
            self._context.decode()
            for cached, end in zip(going, ends, strict=True):
                cached.job.begin(self._context.logits(end))
            while going:
                going = self._round(going)
            done += len(members)
            report(done)

    def _groups(self) -> Iterator[list[int]]:
        """Yield rows, longest first and in any file's order the same, that fit into one batch and the cache."""
        order = sorted(
            range(len(self._rows)), key=lambda at: (-len(self._rows[at]), self._rows[at])
        )
        group: list[int] = []
        fed = reserved = 0
        for member in order:
            size = len(self._rows[member]) - self._prefix
            cells = size + self._jobs[member].cells
            full = fed + size > self._room or reserved + cells > self._cells - self._prefix
            if group and (full or len(group) == ROWS):
                yield group
                group, fed, reserved = [], 0, 0
            group.append(member)
            fed, reserved = fed + size, reserved + cells
        if group:
            yield group

    def _round(self, rows: Sequence[_CachedRow]) -> list[_CachedRow]:
        """Feed what is asked, as much as fits, and hand over the logits; return the rows that go on."""
        fed: list[tuple[_CachedRow, FeedRequest, int]] = []
        size = 0
        going = []
        for row in rows:
            requests = row.job.requests()
            if not requests:
                self._drop_nodes(row)
                self._context.drop(row.lane)
                self._free.append(row.lane)
                continue
            going.append(row)
            for number, request in enumerate(requests):
                path = self._path(row, request)
                # One without room begins again from the end of its row.
                if number == 0 and row.nodes and not self._has_room(row, path):
                    self._drop_nodes(row)
                    path = self._path(row, request)
                need = sum(len(one.tokens) for one in path)
                if not self._has_room(row, path) or size + need > self._room:
                    break
                fed.append((row, request, self._feed(row, path)))
                size += need
        self._context.decode()
        for row, request, end in fed:
            first = end - len(request.tokens) + 1 if request.every else end
            row.job.take(request, [self._context.logits(at) for at in range(first, end + 1)])
        return going

    def _has_room(self, row: _CachedRow, path: Sequence[FeedRequest]) -> bool:
        needs_lane = not path[0].moves or path[0].behind == START
        cells = row.used + sum(len(request.tokens) for request in path)
        return cells <= row.job.cells and (bool(self._free) or not needs_lane)

    def _path(self, row: _CachedRow, request: FeedRequest) -> list[FeedRequest]:
        """Return what has to be fed for an ask: itself, and those before it that were dropped."""
        path = [request]
        while (behind := path[0].behind) != START and behind not in row.nodes:
            path.insert(0, row.known[behind])
        return path

    def _feed(self, row: _CachedRow, path: Sequence[FeedRequest]) -> int:
        """Put a path into the batch; return the place of its last token."""
        behind = path[0].behind
        lane, position = row.nodes.get(behind, (row.lane, row.end))
        if path[0].moves and behind != START:
            del row.nodes[behind]
        else:
            parent, lane = lane, self._free.pop()
            self._context.share(parent, lane)
        end = 0
        for request in path:
            asked = request is path[-1]
            wanted = [asked and request.every] * (len(request.tokens) - 1) + [asked]
            end = self._context.add(lane, position, request.tokens, wanted=wanted)
            position += len(request.tokens)
            row.used += len(request.tokens)
        row.known[path[-1].node] = path[-1]
        row.nodes[path[-1].node] = (lane, position)
        return end

    def _drop_nodes(self, row: _CachedRow) -> None:
        for lane, _ in row.nodes.values():
            self._context.drop(lane)
            self._free.append(lane)
        row.nodes.clear()
        row.used = 0
