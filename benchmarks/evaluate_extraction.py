"""JSON answers of a base model on restaurant8k: ours beside one row at a time and a llama.cpp server.

    python benchmarks/evaluate_extraction.py --model DIR --rows restaurant8k/test.json.gz

The same prompts, the same schema, at most so many new tokens, greedy, one thread; rows a CPU-second.
Contestants: transformers `generate` one row at a time with the same grammar in a logits processor, and
llama.cpp's server with parallel slots, a cached prompt and `json_schema` (on an f16 file made of the same
model). Those are asked as few rows as it takes. `compare` is what `benchmarks/evaluate.py` calls.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402 - after the number of threads
import torch  # noqa: E402, TID253
from llguidance import LLMatcher, LLTokenizer  # noqa: E402
from llguidance.numpy import apply_token_bitmask_inplace, fill_next_token_bitmask  # noqa: E402
from transformers import LogitsProcessor, LogitsProcessorList  # noqa: E402, TID253

from engine.environment import Device  # noqa: E402
from engine.recipe.answer_grammar import object_grammar  # noqa: E402
from engine.recipe.prompt import read_object  # noqa: E402
from engine.runtime.generation.generate import generate  # noqa: E402
from engine.runtime.generation.grammar import Grammar  # noqa: E402
from engine.runtime.models.load import LoadedModel, load_model  # noqa: E402
from engine.runtime.scoring.label_search import common_prefix  # noqa: E402

FIELDS = ("first_name", "last_name", "date", "time", "people")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string", "maxLength": 24} for name in FIELDS},
    "additionalProperties": False,
}
INSTRUCTION = (
    "Take the message to a restaurant apart. Answer with a JSON object. Its fields are first_name, "
    "last_name, date, time and people, each copied from the message; leave out what is not said.\n"
    'Message: A table for four on Friday at 7 pm.\n{"date":"Friday","time":"7 pm","people":"four"}\n'
    'Message: My name is Ann Lee.\n{"first_name":"Ann","last_name":"Lee"}\n'
    'Message: we will be 6\n{"people":"6"}'
)
MOST_TOKENS = 64
GOAL = 0.85
SLOTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table."""

    name: str
    rows: int
    cpu_seconds: float
    valid: int
    """Answers that are objects of the schema."""

    @property
    def rate(self) -> float:
        """Rows a CPU-second."""
        return self.rows / self.cpu_seconds


class _Quiet:
    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""


def compare(model: Path, texts: Sequence[str], *, one_by_one: int, served: int) -> list[Line]:
    """Measure all contestants; ours is first, on all texts."""
    device = Device(kind="cpu", name="benchmark", memory_bytes=0, cores=1, bf16=False)
    loaded = load_model(model, device=device, precision="fp32")
    prompts = [
        loaded.chat.prompt([{"role": "user", "content": f"{INSTRUCTION}\nMessage: {text}"}])
        for text in texts
    ]
    before = _peak()
    ours, lines = _ours(loaded, prompts)
    sys.stderr.write(f"ours: {lines.rate:.2f} rows a CPU-second, {_peak() - before:.0f} MiB more\n")
    alone = _one_by_one(loaded, prompts[:one_by_one], ours)
    _tell_ratio(loaded, prompts, ours, lines.rate / alone.rate)
    made = [lines, alone]
    if served:
        made.append(_served(model, prompts[:served]))
    return made


def _ours(loaded: LoadedModel, prompts: Sequence[str]) -> tuple[list[str], Line]:
    def ask() -> list[str]:
        grammar = Grammar.of(loaded.chat.tokenizer, object_grammar(SCHEMA), loaded.chat.terminator)
        generated = generate(
            loaded, prompts, max_new_tokens=MOST_TOKENS, progress=_Quiet(), constraint=grammar
        )
        return [one.text for one in generated]

    return _measured("ours", ask)


class _Bound(LogitsProcessor):  # type: ignore[misc] # transformers has no types here
    """The same grammar, one row at a time, as a logits processor."""

    def __init__(self, tokenizer: Any, asked: int) -> None:
        """Start at the beginning of an answer; `asked` tokens stand before it."""
        schema = {**SCHEMA, "x-guidance": {"whitespace_flexible": False}}
        vocabulary = LLTokenizer(tokenizer.backend_tokenizer.to_str(), eos_token=_end(tokenizer))
        self.matcher = LLMatcher(vocabulary, LLMatcher.grammar_from_json_schema(schema))
        self.seen = asked
        self.bits = np.zeros((1, (vocabulary.vocab_size + 31) // 32), dtype=np.int32)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Forbid what the grammar forbids."""
        for token in input_ids[0, self.seen :].tolist():
            self.matcher.consume_token(token)
        self.seen = input_ids.shape[1]
        fill_next_token_bitmask(self.matcher, self.bits)
        allowed = scores.numpy().copy()
        apply_token_bitmask_inplace(allowed, self.bits)
        return torch.from_numpy(allowed)


def _end(tokenizer: Any) -> int:
    return int(tokenizer.convert_tokens_to_ids("<|im_end|>"))


def _one_by_one(loaded: LoadedModel, prompts: Sequence[str], ours: Sequence[str]) -> Line:
    """Ask with `generate`; the processors are made outside of the time, as a server would."""
    rows = [loaded.chat.token_ids(prompt) for prompt in prompts]
    tokenizer = loaded.chat.tokenizer
    bound = [_Bound(tokenizer, len(row)) for row in rows]

    @torch.inference_mode()
    def ask() -> list[str]:
        texts = []
        for row, processor in zip(rows, bound, strict=True):
            ids = torch.tensor([row])
            out = loaded.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=MOST_TOKENS,
                do_sample=False,
                eos_token_id=_end(tokenizer),
                pad_token_id=_end(tokenizer),
                logits_processor=LogitsProcessorList([processor]),
            )
            texts.append(loaded.chat.text(out[0, len(row) :].tolist()))
        return texts

    texts, line = _measured("transformers generate, one row at a time, same grammar", ask)
    same = sum(
        one.startswith(two) or two.startswith(one) for one, two in zip(texts, ours, strict=False)
    )
    sys.stderr.write(f"one by one: {same} of {len(texts)} answers as ours\n")
    return line


def _served(model: Path, prompts: Sequence[str]) -> Line:
    """Ask llama.cpp's server through its Python binding, which spares it HTTP."""
    import xllamacpp  # only for this contestant

    from engine.runtime.gguf.convert import find_tools, write_gguf

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "model.gguf"
        write_gguf(model, file, "F16", threads=1, tools=find_tools())
        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_parallel, params.n_ctx = SLOTS, SLOTS * 512
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.verbosity = 0
        server = xllamacpp.Server(params)

        def one(prompt: str) -> str:
            asked = {
                "prompt": prompt,
                "n_predict": MOST_TOKENS,
                "temperature": 0,
                "json_schema": SCHEMA,
                "cache_prompt": True,
            }
            answer = server.handle_completions(asked)
            answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
            return str(answer.get("content") or answer["choices"][0]["text"])

        one(prompts[0])

        def ask() -> list[str]:
            with ThreadPoolExecutor(SLOTS) as pool:
                return list(pool.map(one, prompts))

        return _measured(f"llama.cpp server, {SLOTS} slots, json_schema, f16", ask)[1]


def _measured(name: str, ask: Callable[[], list[str]]) -> tuple[list[str], Line]:
    start = time.process_time()
    texts = ask()
    spent = time.process_time() - start
    valid = sum(
        (found := read_object(text)) is not None and set(found) <= set(FIELDS) for text in texts
    )
    return texts, Line(name=name, rows=len(texts), cpu_seconds=spent, valid=valid)


def _tell_ratio(
    loaded: LoadedModel, prompts: Sequence[str], ours: Sequence[str], measured: float
) -> None:
    """Say what the tokens alone would give, and what was measured."""
    rows = [loaded.chat.token_ids(prompt) for prompt in prompts]
    shared = common_prefix(rows)
    own = sum(len(row) - shared for row in rows) / len(rows)
    generated = sum(len(loaded.chat.token_ids(text)) for text in ours) / len(ours)
    ratio = (shared + own + generated) / (shared / len(rows) + own + generated)
    sys.stderr.write(
        f"tokens: {shared} shared, {own:.1f} own, {generated:.1f} generated a row; ratio by tokens {ratio:.2f}, "
        f"measured {measured:.2f} = {measured / ratio:.0%} of it (goal {GOAL:.0%})\n"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a Markdown table; ratios are of ours to each."""
    rows = [
        "| contestant | rows | rows a CPU-second | ours is faster | valid objects |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.name} | {one.rows} | {one.rate:.2f} | {lines[0].rate / one.rate:.1f} times | {one.valid} |"
        for one in lines
    ]
    return "\n".join(rows)


def read_texts(path: Path, count: int) -> list[str]:
    """Return messages of restaurant8k, spread over the file."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = json.load(stream)
    return [row["userInput"]["text"] for row in rows[:: max(1, len(rows) // count)][:count]]


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="restaurant8k's test.json.gz")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--one-by-one", type=int, default=20)
    parser.add_argument("--served", type=int, default=64)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    texts = read_texts(asked.rows, asked.count)
    print(table(compare(asked.model, texts, one_by_one=asked.one_by_one, served=asked.served)))


if __name__ == "__main__":
    main()
