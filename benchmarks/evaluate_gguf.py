"""Label scoring of a GGUF file: one shared start for all rows, against one uncached request a row.

`python benchmarks/evaluate_gguf.py --model FOLDER --case banking77`: a transformers model folder (such as the
tuned one that `evaluate.py` keeps), and a case of `evaluate_cases.py`. Both ways run the same llama.cpp on
one thread in one process and look for the most probable label, best first; seconds are of the CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate_cases import CASES, Case, load_case

from engine.runtime.gguf.convert import find_tools, write_gguf
from engine.runtime.llama.decoding_jobs import SearchJob
from engine.runtime.llama.engine import Engine, PrefixedRows
from engine.runtime.rendering.chat import load_chat
from engine.runtime.scoring.label_search import make_tree

GOAL = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one way took."""

    rows: int
    cpu_seconds: float
    scores: tuple[dict[int, float], ...]
    """Log-probabilities of the labels that were reached, by row."""
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
    PrefixedRows(engine, rows, jobs).run(lambda _done: None)
    return _outcome(jobs, time.process_time() - began)


def uncached(engine: Engine, rows: Sequence[list[int]], answers: Sequence[list[int]]) -> Outcome:
    """Score each row by itself, its whole prompt read anew."""
    tree = make_tree(answers)
    began = time.process_time()
    jobs = [SearchJob(tree, distribution=False) for _ in rows]
    for row, job in zip(rows, jobs, strict=True):
        PrefixedRows(engine, [row], [job], shares=False).run(lambda _done: None)
    return _outcome(jobs, time.process_time() - began)


def _outcome(jobs: Sequence[SearchJob], seconds: float) -> Outcome:
    return Outcome(
        rows=len(jobs),
        cpu_seconds=seconds,
        scores=tuple(job.search.scores for job in jobs),
        expanded=sum(job.search.expanded for job in jobs),
    )


def measure(
    model: Path, case: Case, *, rows: int, peer_rows: int, quantization: str = "Q8_0"
) -> tuple[Outcome, Outcome, float]:
    """Return ours and the peer's outcome on a case, and the mean length of a prompt in tokens."""
    chat = load_chat(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model-{quantization}.gguf"
        write_gguf(model, path, quantization, threads=1, tools=find_tools())
        engine = Engine(str(path), threads=1)
        answers = [engine.tokens(answer) for answer in case.answers(chat)]
        prompts = [engine.tokens(prompt) for prompt in case.prompts(chat, rows)]
        ours = shared(engine, prompts, answers)
        peer = uncached(engine, prompts[:peer_rows], answers)
    return ours, peer, sum(map(len, prompts)) / len(prompts)


def main() -> int:
    """Print the table; 1 when the goal is missed or the two ways disagree where it is no tie."""
    options = _options()
    ours, peer, length = measure(
        options.model,
        load_case(options.case),
        rows=options.rows,
        peer_rows=options.peer_rows,
        quantization=options.quantization,
    )
    return _report(ours, peer, length=length)


def _report(ours: Outcome, peer: Outcome, *, length: float) -> int:
    pairs = list(zip(ours.scores, peer.scores, strict=False))
    same = sum(_best(one) == _best(two) for one, two in pairs)
    shift = max(abs(one[_best(two)] - two[_best(two)]) for one, two in pairs if _best(two) in one)
    ratio = ours.rate / peer.rate
    write = sys.stdout.write
    write("| way | rows | CPU-seconds | rows a CPU-second |\n|---|---|---|---|\n")
    write(
        f"| one uncached request a row | {peer.rows} | {peer.cpu_seconds:.1f} | {peer.rate:.2f} |\n"
    )
    write(f"| shared start | {ours.rows} | {ours.cpu_seconds:.1f} | {ours.rate:.2f} |\n\n")
    write(f"ratio {ratio:.1f} (goal {GOAL:g}); the same label on {same} of {peer.rows} rows, ")
    write(f"log-probabilities at most {shift:.2g} apart; {length:.0f} tokens a prompt, ")
    write(f"{ours.expanded / ours.rows:.2f} expanded behind it\n")
    return 0 if ratio >= GOAL and same == peer.rows else 1


def _best(scores: dict[int, float]) -> int:
    return max(scores, key=lambda index: (scores[index], -index), default=-1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--case", choices=sorted(CASES), default="banking77")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--peer-rows", type=int, default=20)
    parser.add_argument("--quantization", default="Q8_0")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
