"""Runs a GGUF file with llama.cpp in a process of its own: `python -m engine.runtime.llama.worker GGUF THREADS`.

llama.cpp aborts the process on some errors, so it never shares one with the pipeline. Each line of its input is the
JSON of a `engine.runtime.llama.client.Request`, and is answered by a line with that of its `GgufAnswers`. Each finished
group of rows prints one line before, the number of rows done. Prompts are read with special tokens recognised and none
added, `sent` with those that the file adds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import median
from typing import IO, TYPE_CHECKING, Any

from inferna._internal import build_config

from engine.files.reading import BYTES_A_PART, MOST_ANSWERS, parse_json
from engine.process.limits import resident_bytes
from engine.runtime.llama.decoding_jobs import (
    CombinedJob,
    DecodingJob,
    NotFiniteError,
    SearchJob,
    answer_tokens,
    normaliser,
)
from engine.runtime.llama.engine import TOKENS, Context, Engine, PrefixedRows, run_beside
from engine.runtime.rendering.windows import too_long
from engine.runtime.scoring.label_search import common_prefix, make_tree
from engine.values import to_json

if TYPE_CHECKING:
    from llguidance import LLTokenizer


def measure_speed(engine: Engine, rows: Sequence[list[int]], *, tokens: int) -> dict[str, Any]:
    """Return medians over prompts asked one after the other, each read from its first token on.

    `shared_tokens` is what all of them begin with. `first_token_seconds` is from the prompt to the first
    token; `cached_seconds` the same where what all prompts share is in the cache (None for models that
    cannot go back to it); `tokens_per_second` is of the `tokens` that follow, generated greedily and past
    any ending.
    """
    longest = max(map(len, rows))
    context = Context(engine, cells=longest + tokens + TOKENS, batch=TOKENS, lanes=2)
    prefix = common_prefix(rows)
    # A first pass warms memory and caches, and is not timed.
    context.feed(0, 0, rows[0][:TOKENS])
    context.drop(0)
    cold, cached, rates = [], list[float](), []
    rewinds = not (engine.model.is_recurrent() or engine.model.is_hybrid())
    for row in rows:
        began = time.perf_counter()
        token = _read(context, row, start=0)
        cold.append(time.perf_counter() - began)
        began = time.perf_counter()
        for position in range(len(row), len(row) + tokens):
            token = _read(context, [token], start=position)
        rates.append(tokens / (time.perf_counter() - began))
        if rewinds:
            context.drop(0, prefix)
            began = time.perf_counter()
            _read(context, row[prefix:], start=prefix)
            cached.append(time.perf_counter() - began)
        context.drop(0)
    return {
        "prompts": len(rows),
        "prompt_tokens": median(map(len, rows)),
        "shared_tokens": prefix,
        "first_token_seconds": median(cold),
        "cached_seconds": median(cached) if cached else None,
        "tokens_per_second": median(rates),
        "tokens": tokens,
    }


def _read(context: Context, tokens: Sequence[int], *, start: int) -> int:
    """Read tokens behind so many; return the most probable next one."""
    return int(context.logits(context.feed(0, start, tokens, wanted=True)).argmax())


BATCH = 128
"""Tokens in one batch: each of them may want logits, which take 4 bytes a token of the vocabulary."""


def likelihoods(
    engine: Engine, rows: Sequence[dict[str, Any]], *, report: Callable[[int], None]
) -> list[tuple[float, bool]]:
    """Return the nats of the learned tokens of each row, `{"ids": […], "learned": [0 or 1, …]}`.

    With each row's, whether its last learned token is the one that the model finds most probable there.

    A row's first token has nothing before it and is never scored.
    """
    ids = [row["ids"] for row in rows]
    first = min((row["learned"][1:].index(1) for row in rows if 1 in row["learned"][1:]), default=0)
    # No scored token may be in the shared part: its logits are read once for each row.
    prefix = min(common_prefix(ids), first)
    cells = max(map(len, ids)) + BATCH
    context = Context(engine, cells=cells, batch=BATCH, lanes=2)
    context.feed(0, 0, ids[0][:prefix])
    results = []
    for done, row in enumerate(rows, start=1):
        if prefix:
            context.share(0, 1)
        total, ends, tokens, learned = 0.0, False, row["ids"], row["learned"]
        last = max((place for place, flag in enumerate(learned) if flag), default=0)
        # The last learned token is only predicted: nothing is asked behind it.
        for begin in range(prefix, last, BATCH):
            end = min(begin + BATCH, last)
            wanted = [bool(flag) for flag in learned[begin + 1 : end + 1]]
            context.add(1, begin, tokens[begin:end], wanted=wanted)
            context.decode()
            for offset in (offset for offset, want in enumerate(wanted) if want):
                logits, token = context.logits(offset), tokens[begin + offset + 1]
                total += normaliser(logits) - float(logits[token])
                ends = int(logits.argmax()) == token
        results.append((total, ends))
        context.drop(1)
        report(done)
    return results


def answer(
    engine: Engine, request: dict[str, Any], report: Callable[[int], None]
) -> dict[str, Any]:
    """Return the result of a request; `report` gets the number of rows done."""
    adds, bos = request["adds_special"], [engine.vocab.token_bos()]
    prompts = {prompt: engine.tokens(prompt) for prompt in request["prompts"]}
    terminator = request["terminator"]
    tokens = engine.tokens(terminator)
    result: dict[str, Any] = {
        "version": build_config.versions()["llama_cpp_version"],
        "token_ids": [
            # Where the chat template wrote the BOS already, programs add none.
            engine.tokens(prompt, as_sent=True)
            if adds and prompts[prompt][:1] != bos
            else prompts[prompt]
            for prompt in request["prompts"]
        ],
        # A program that writes a prompt as we do asks the same text.
        "read": engine.read(request["read"], known=prompts),
        "sent": engine.read(request["sent"], as_sent=True),
        "is_ended": len(tokens) != 1 or bool(engine.vocab.is_eog(tokens[0])),
        "window": engine.window if request["within_window"] else None,
    }
    rows = [ids for ids in result["token_ids"] if too_long(len(ids), result["window"]) is None]
    try:
        if request["answers"] or request["grammar"] or request["max_new_tokens"]:
            result |= _generate(engine, request, rows, report)
        if request["learned"]:
            found = likelihoods(engine, request["learned"], report=report)
            result["likelihoods"] = [nll for nll, _ in found]
            result["ended"] = [ends for _, ends in found]
    # No failure: the prompts were read, so that their tokens can still be compared.
    except NotFiniteError:
        result["is_finite"] = False
    if request["timed"]:
        result["speed"] = measure_speed(engine, result["token_ids"], tokens=request["timed"])
    return {**result, "peak_memory_bytes": resident_bytes(peak=True)}


def _generate(
    engine: Engine,
    request: dict[str, Any],
    rows: Sequence[list[int]],
    report: Callable[[int], None],
) -> dict[str, Any]:
    tokens, free = answer_tokens(engine, request["terminator"]), request["max_new_tokens"]
    searches, constrained = list[SearchJob](), list[DecodingJob]()
    texts = [DecodingJob(tokens, most=free) for _ in rows if free]
    answers = [engine.tokens(text) for text in request["answers"]]
    if answers:
        tree = make_tree(answers)
        searches = [SearchJob(tree, distribution=request["distribution"]) for _ in rows]
    if request["grammar"]:
        from engine.runtime.generation.grammar import Grammar  # only where answers are bound

        # In the tokens of the file itself, which `recipe try` has nothing else of.
        words, most = _bound_vocabulary(engine), request["grammar_tokens"]
        grammar = Grammar(words, request["grammar"], request["terminator"])
        constrained = [DecodingJob(tokens, most=most, matcher=grammar.matcher()) for _ in rows]
    if rows and answers:
        run_beside(engine, rows, searches, report)
        # Apart, so that rows are searched in the same batches, with the same sums, whether texts are asked or not.
        left = [
            (row, text)
            for row, search, text in zip(rows, searches, texts, strict=False)
            if not search.settles(text, answers)
        ]
        if left:
            PrefixedRows(engine, *zip(*left, strict=True)).run(lambda _: report(len(rows)))
    elif rows:
        parts = zip(*filter(None, (constrained, texts)), strict=True)
        jobs = [one[0] if len(one) == 1 else CombinedJob(one) for one in parts]
        PrefixedRows(engine, rows, jobs).run(report)
    return {
        "choices": [to_json(job.search.choice) for job in searches],
        "constrained": [to_json(job.decoding.result()) for job in constrained],
        "texts": [job.decoding.result().text for job in texts],
        "ended": [job.decoding.finished for job in texts],
    }


@lru_cache(maxsize=1)
def _bound_vocabulary(engine: Engine) -> LLTokenizer:
    """Return the tokens of a file as grammars want them; a file that is served is asked often."""
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(_Vocabulary(engine)))


class _Vocabulary:
    """The tokens of a GGUF file, as llguidance asks for them."""

    def __init__(self, engine: Engine) -> None:
        vocab = engine.vocab
        count = range(vocab.n_vocab)
        self.eos_token_id = vocab.token_eos()
        self.bos_token_id = None
        self.tokens = [vocab.token_to_piece_bytes(token, 0, True) for token in count]  # noqa: FBT003 - llama.cpp's own order
        self.special_token_ids = [token for token in count if vocab.is_control(token)]
        self._vocab = vocab

    def __call__(self, text: str | bytes) -> list[int]:
        if not isinstance(text, str):
            raise TypeError("text")
        return list(self._vocab.tokenize(text, add_special=False, parse_special=True))


def serve(engine: Engine, given: IO[str], out: IO[str]) -> None:
    """Answer every line, the JSON of a `client.Request`, until there are no more.

    The first line that is written says that the file is loaded; then come lines with the number of rows done, and one
    with the JSON of the answers to each request.
    """

    def write(value: Any) -> None:
        out.write(f"{json.dumps(value, ensure_ascii=True)}\n")
        out.flush()

    write({"ready": True})
    for line in given:
        asked = parse_json(line, parts=MOST_ANSWERS // BYTES_A_PART)
        write(answer(engine, asked, write))


def main(gguf: str, threads: int) -> None:
    """Serve standard input; whatever llama.cpp prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Engine(gguf, threads=threads), sys.stdin, out)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
