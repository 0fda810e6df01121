"""Label scoring of a GGUF file: one shared start for all rows, against one uncached request a row.

`python benchmarks/evaluate_gguf.py MODEL_FOLDER ROWS.csv` with a transformers model folder and a CSV file of
texts and labels (`--text`, `--label` name its columns). Both ways run the same llama.cpp, on one thread, in
one process, and find the same labels: the most probable one under the full softmax, best first.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.recipe.model import Task
from engine.recipe.prompt import answer_text, messages
from engine.runtime.chat import load_chat
from engine.runtime.gguf import find_tools, write_gguf
from engine.runtime.llama_engine import Engine, Pool
from engine.runtime.llama_jobs import SearchJob
from engine.runtime.search import make_tree

GOAL = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one way took."""

    rows: int
    cpu_seconds: float
    found: tuple[int, ...]
    expanded: int

    @property
    def rate(self) -> float:
        """Rows a CPU-second."""
        return self.rows / self.cpu_seconds


def shared(engine: Engine, rows: Sequence[list[int]], answers: Sequence[list[int]]) -> Outcome:
    """Score all rows behind their shared start."""
    tree = make_tree(answers)
    began = time.process_time()
    jobs = [SearchJob(tree, distribution=False) for _ in rows]
    Pool(engine, rows, jobs).run(lambda _done: None)
    return _outcome(jobs, time.process_time() - began)


def uncached(engine: Engine, rows: Sequence[list[int]], answers: Sequence[list[int]]) -> Outcome:
    """Score each row by itself, its whole prompt read anew."""
    tree = make_tree(answers)
    began = time.process_time()
    jobs = [SearchJob(tree, distribution=False) for _ in rows]
    for row, job in zip(rows, jobs, strict=True):
        Pool(engine, [row], [job], shares=False).run(lambda _done: None)
    return _outcome(jobs, time.process_time() - began)


def _outcome(jobs: Sequence[SearchJob], seconds: float) -> Outcome:
    return Outcome(
        rows=len(jobs),
        cpu_seconds=seconds,
        found=tuple(job.search.choice.index for job in jobs),
        expanded=sum(job.search.expanded for job in jobs),
    )


def main() -> int:
    """Print the table; 1 when the goal is missed or the two ways disagree."""
    options = _options()
    texts, labels = _read(options)
    task = Task(
        kind="classification",
        instruction="Which of these intents is it: {labels}?",
        system="",
        input="{text}",
        labels=tuple(labels),
        schema=None,
        output="text",
    )
    chat = load_chat(options.model)
    prompts = [chat.prompt(messages(task, text)) for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model-{options.quantization}.gguf"
        write_gguf(options.model, path, options.quantization, threads=1, tools=find_tools())
        engine = Engine(str(path), threads=1)
        answers = [
            engine.tokens(answer_text(task, label) + chat.terminator) for label in task.labels
        ]
        rows = [engine.tokens(prompt) for prompt in prompts]
        ours = shared(engine, rows, answers)
        peer = uncached(engine, rows[: options.peer_rows], answers)
    return _report(ours, peer, rows=rows)


def _report(ours: Outcome, peer: Outcome, *, rows: Sequence[list[int]]) -> int:
    same = sum(one == two for one, two in zip(ours.found, peer.found, strict=False))
    ratio = ours.rate / peer.rate
    mean = sum(map(len, rows)) / len(rows)
    say = sys.stdout.write
    say("| way | rows | CPU-seconds | rows a CPU-second |\n|---|---|---|---|\n")
    say(
        f"| one uncached request a row | {peer.rows} | {peer.cpu_seconds:.1f} | {peer.rate:.2f} |\n"
    )
    say(f"| shared start | {ours.rows} | {ours.cpu_seconds:.1f} | {ours.rate:.2f} |\n\n")
    say(f"ratio {ratio:.1f} (goal {GOAL:g}); the same label on {same} of {peer.rows} rows; ")
    say(f"{mean:.0f} tokens a prompt, {ours.expanded / ours.rows:.2f} expanded behind it\n")
    return 0 if ratio >= GOAL and same == peer.rows else 1


def _read(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    with options.rows.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    labels = sorted({row[options.label] for row in found})
    drawn = random.Random(7).sample(found, min(options.count, len(found)))  # noqa: S311 - no secret
    return [row[options.text] for row in drawn], labels


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="category")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--peer-rows", type=int, default=20)
    parser.add_argument("--quantization", default="Q8_0")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
