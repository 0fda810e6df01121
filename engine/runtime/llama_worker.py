"""Runs a GGUF file with llama.cpp in a process of its own: `python -m engine.runtime.llama_worker REQUEST RESULT`.

llama.cpp aborts the process on some errors, so it never shares one with the pipeline. The request is
JSON: {"gguf", "prompts", "answers", "max_new_tokens", "threads"}; so is the result: {"token_ids",
"choices", "texts", "version"}. Each finished batch prints one line, the number of rows done.

Prompts are read with special tokens recognised and none added. What all of them share at the start
is decoded once and its cells are lent to every row (`memory_seq_cp` on a unified cache copies nothing).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inferna._internal import build_config
from inferna.llama import llama_cpp

from engine.runtime.trie import Choice, Node, Trace, Walk, build_trie, common_prefix

ROWS = 32
"""Sequences in one batch."""
TOKENS = 512
"""New tokens in one batch, unless one row has more."""

Step = Callable[[list[float], int], list[int]]
"""`step(logits, member)` returns the tokens to feed next, none when the row is done."""


class Engine:
    """A llama.cpp model and a context for rows with a shared start."""

    def __init__(self, gguf: str, *, threads: int) -> None:
        """Load the model on the CPU."""
        params = llama_cpp.LlamaModelParams()
        params.n_gpu_layers = 0
        self.model = llama_cpp.LlamaModel(gguf, params, verbose=False)
        self.vocab: Any = self.model.get_vocab()
        self.threads = threads

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of text: special ones recognised, none added."""
        return list(self.vocab.tokenize(text, add_special=False, parse_special=True))

    def decode(self, rows: Sequence[list[int]], *, extra: int, step: Step) -> None:
        """Feed every row, then what `step` returns, until it returns nothing; at most `extra` a row."""
        if not rows:
            return
        prefix = common_prefix(rows)
        longest = max(len(row) for row in rows)
        room = max(TOKENS, longest)
        params = llama_cpp.LlamaContextParams()
        params.n_ctx = prefix + room + ROWS * (extra + 1)
        params.n_batch = room
        params.n_ubatch = TOKENS
        params.n_seq_max = ROWS + 1
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = self.threads
        context = llama_cpp.LlamaContext(self.model, params, verbose=False)
        batch = llama_cpp.LlamaBatch(n_tokens=room, embd=0, n_seq_max=1, verbose=False)
        _feed(context, batch, [(0, 0, rows[0][:prefix])])
        done = 0
        for members in _groups(rows, prefix=prefix, room=room):
            _run_group(context, batch, rows, members, prefix=prefix, step=step)
            done += len(members)
            sys.stdout.write(f"{done}\n")
            sys.stdout.flush()


def _run_group(
    context: Any,  # noqa: ANN401 - a LlamaContext
    batch: Any,  # noqa: ANN401 - a LlamaBatch
    rows: Sequence[Sequence[int]],
    members: Sequence[int],
    *,
    prefix: int,
    step: Step,
) -> None:
    position = dict.fromkeys(members, prefix)
    lane = {member: place + 1 for place, member in enumerate(members)}
    feed = {member: list(rows[member][prefix:]) for member in members}
    for member in members:
        context.memory_seq_cp(0, lane[member], 0, prefix)
    while feed:
        entries = [(lane[member], position[member], tokens) for member, tokens in feed.items()]
        ends = _feed(context, batch, entries)
        going = {}
        for (member, tokens), end in zip(feed.items(), ends, strict=True):
            position[member] += len(tokens)
            following = step(context.get_logits_ith(end), member)
            if following:
                going[member] = following
        feed = going
    for member in members:
        context.memory_seq_rm(lane[member], -1, -1)


def _feed(
    context: Any,  # noqa: ANN401 - a LlamaContext
    batch: Any,  # noqa: ANN401 - a LlamaBatch
    entries: Sequence[tuple[int, int, Sequence[int]]],
) -> list[int]:
    """Decode (lane, first position, tokens); return where in the batch each entry's last token stands."""
    batch.clear()
    ends: list[int] = []
    place = 0
    for lane, start, tokens in entries:
        for offset, token in enumerate(tokens):
            batch.add(token, start + offset, [lane], offset == len(tokens) - 1)
        place += len(tokens)
        ends.append(place - 1)
    if place and context.decode(batch) != 0:
        raise RuntimeError("llama.cpp found no room for the batch")
    return ends


def _groups(rows: Sequence[Sequence[int]], *, prefix: int, room: int) -> Iterator[list[int]]:
    """Yield rows, longest first, that fit into one batch."""
    group: list[int] = []
    used = 0
    for member in sorted(range(len(rows)), key=lambda index: (-len(rows[index]), index)):
        size = len(rows[member]) - prefix
        if group and (used + size > room or len(group) == ROWS):
            yield group
            group, used = [], 0
        group.append(member)
        used += size
    if group:
        yield group


def choose(
    engine: Engine, rows: Sequence[list[int]], root: Node, members: Sequence[int]
) -> dict[int, Choice]:
    """Return the constrained choice of each of `members`."""
    walks = {member: Walk(root) for member in members}
    if (only := Walk(root).choice) is not None:
        return dict.fromkeys(members, only)
    forced = Walk(root).pending
    order = list(members)

    def step(logits: list[float], place: int) -> list[int]:
        walk = walks[order[place]]
        walk.take([logits[token] for token in walk.allowed])
        return [] if walk.choice is not None else walk.pending

    engine.decode([[*rows[member], *forced] for member in order], extra=_depth(root), step=step)
    return {member: walk.choice for member, walk in walks.items() if walk.choice is not None}


def speak(
    engine: Engine, rows: Sequence[list[int]], root: Node, *, max_new_tokens: int
) -> tuple[list[str], dict[int, Choice]]:
    """Return the free texts, and the choices of those rows whose free text is an answer."""
    traces = [Trace(root) for _ in rows]
    said: list[list[int]] = [[] for _ in rows]

    def step(logits: list[float], member: int) -> list[int]:
        token = logits.index(max(logits))
        traces[member].follow(token, logits)
        if engine.vocab.is_eog(token):
            return []
        said[member].append(token)
        return [token] if len(said[member]) < max_new_tokens else []

    engine.decode(rows, extra=max_new_tokens, step=step)
    texts = [_text(engine.vocab, tokens) for tokens in said]
    found = {member: trace.choice for member, trace in enumerate(traces)}
    return texts, {member: choice for member, choice in found.items() if choice is not None}


def _text(vocab: Any, tokens: Sequence[int]) -> str:  # noqa: ANN401 - a LlamaVocab
    """Return the text of tokens, without control tokens."""
    return b"".join(vocab.token_to_piece_bytes(token) for token in tokens).decode(
        "utf-8", errors="replace"
    )


def _depth(root: Node) -> int:
    return 1 + max((_depth(child) for child in root.children.values()), default=0)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a request."""
    engine = Engine(request["gguf"], threads=request["threads"])
    rows = [engine.tokens(prompt) for prompt in request["prompts"]]
    root = build_trie([engine.tokens(text) for text in request["answers"]])
    texts: list[str] = []
    choices: dict[int, Choice] = {}
    if request["max_new_tokens"]:
        texts, choices = speak(engine, rows, root, max_new_tokens=request["max_new_tokens"])
    if request["answers"]:
        open_rows = [member for member in range(len(rows)) if member not in choices]
        choices |= choose(engine, rows, root, open_rows)
    return {
        "token_ids": rows,
        "choices": [asdict(choices[member]) for member in range(len(rows)) if member in choices],
        "texts": texts,
        "version": build_config.versions()["llama_cpp_version"],
    }


def main(request: Path, result: Path) -> None:
    """Answer the request file into the result file."""
    found = answer(json.loads(request.read_text(encoding="utf-8")))
    result.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
