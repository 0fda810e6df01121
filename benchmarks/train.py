"""Training steps whose rows share their common start, beside the plain way: `python benchmarks/train.py`.

Both train the same rows with the same base model (the quickstart's) on one core, each in a process of its own: ours
as compiled by default, all rows of a step at once; the plain way as before, eight rows at once, padded, which
`attn_implementation: sdpa` asks for. Processor seconds of the steps after the first are compared, since other work on
the machine changes wall clocks; the goal is 85 % of the ratio of tokens. The last columns set the products that the
tokens of a step need (`train_operations.py`) beside what one core does of large ones when it does nothing
else. `--busy 6` repeats the shared training beside so many processes that never rest: it should take no more
processor time than alone, but for 30 %. `--unsloth PYTHON` names an environment with Unsloth, whose steps of the same
rows are measured too.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluate_cases import DATA, Case, load_case
from launching import make_launch

from engine.backends import load_backend
from engine.backends.base import Launch
from engine.process.library_settings import waiting
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace

ROOT = Path(__file__).resolve().parents[1]
CASES = ("banking77", "snips", "headlines", "quickstart")
BATCH, STEPS, VALIDATION = 16, 4, 16
GOAL = 0.85
BUSY = 1.3
HEADS = (
    "rows", "backend", "tokens a step, plain", "shared", "times fewer", "CPU s a step, plain", "shared",
    "times less", "of the tokens' ratio", "peak MB, plain", "shared", "gradients, off", "loss, off",
    "tokens a CPU s", "GFLOP/s", "of the limit",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training."""

    case: str
    backend: str
    way: str
    precision: Literal["bf16", "fp32"]
    root: Path


def main() -> int:
    """Train the chosen cases both ways and print a table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--backend", action="append", choices=("trl", "axolotl"))
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"))
    parser.add_argument("--store", type=Path, default=ROOT / ".recipe", help="of the base model")
    parser.add_argument(
        "--one", nargs=3, metavar=("CASE", "BACKEND", "WAY"), help=argparse.SUPPRESS
    )
    parser.add_argument("--unsloth", help="the python of an environment with Unsloth")
    parser.add_argument("--busy", type=int, default=0, help="processes that never rest beside it")
    options = parser.parse_args()
    if options.one:
        case, backend, way = options.one
        job = Job(
            case=case, backend=backend, way=way, precision=options.precision, root=options.store
        )
        _say(json.dumps(_train(job)))
        return 0
    if options.busy:
        return _busy(options)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    _say(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    shares = [
        _line(
            case, backend, *(_process(options, case, backend, way) for way in ("plain", "shared"))
        )
        for case in CASES
        if options.only in case
        for backend in options.backend or ("trl", "axolotl")
    ]
    if options.unsloth:
        for case in CASES:
            if options.only in case:
                _say(_unsloth(options, case))
    return 0 if shares and min(shares) >= GOAL else 1


def _unsloth(options: argparse.Namespace, case: str) -> str:
    """Return what a step of the plain rows takes Unsloth, beside ours."""
    from evaluate_model import base_model

    from engine.runtime.rendering.chat import load_chat
    from engine.runtime.training.sft import tokenised

    ours = _process(options, case, "trl", "shared")
    job = Job(case=case, backend="trl", way="plain", precision="bf16", root=options.store)
    with tempfile.TemporaryDirectory() as folder:
        launch = _launch(job, Path(folder))
        rows = Path(folder) / "rows.jsonl"
        tokens = tokenised(launch.rows / "train.jsonl", load_chat(launch.base_model))
        rows.write_text("\n".join(map(json.dumps, tokens or ())), "utf-8")
        program = Path(__file__).with_name("train_unsloth.py")
        ended = subprocess.run(
            [options.unsloth, program, base_model(options.store), rows, str(STEPS)],
            check=True,
            stdout=subprocess.PIPE,
            cwd=folder,
        )
    found = json.loads(ended.stdout.splitlines()[-1])
    times = found["seconds"] / ours["seconds"]
    return (
        f"{case}: Unsloth takes {found['seconds']:.2f} CPU s a step and {found['peak'] / 1e6:.0f} MB at most, ours "
        f"{ours['seconds']:.2f} s and {ours['peak'] / 1e6:.0f} MB: {times:.2f} times"
    )


def _busy(options: argparse.Namespace) -> int:
    """Print what the shared training takes alone and beside busy processes, on all cores; 1 where it is too much."""
    case = next(name for name in CASES if options.only in name)
    backends = options.backend or ("trl",)
    taken: dict[str, list[float]] = {}
    limits: dict[str, list[float]] = {}
    for count in (0, options.busy):
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                rest = subprocess.Popen([sys.executable, "-c", "while True: pass"])
                stack.callback(rest.kill)
            for backend in backends:
                found = _process(options, case, backend, "shared")
                taken.setdefault(backend, []).append(found["seconds"])
                limits.setdefault(backend, []).append(found["limit"])
    for backend, (alone, beside) in taken.items():
        _say(
            f"{case}, {backend}: a step takes {alone:.2f} s of processor time alone, {beside:.2f} s beside "
            f"{options.busy} busy processes: {beside / alone:.2f} times; large products by themselves, in which nothing"
            f" waits, {limits[backend][0] / limits[backend][1]:.2f} times"
        )
    return 0 if all(beside <= BUSY * alone for alone, beside in taken.values()) else 1


def _process(options: argparse.Namespace, case: str, backend: str, way: str) -> dict[str, Any]:
    words = (
        "--precision",
        options.precision,
        "--store",
        str(options.store),
        "--one",
        case,
        backend,
        way,
    )
    ended = subprocess.run(
        [sys.executable, __file__, *words],
        check=True,
        stdout=subprocess.PIPE,
        # As `recipe` sets it for itself and its children.
        env={**os.environ, **waiting(os.environ), "PYTHONPATH": str(ROOT)},
    )
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _line(case: str, backend: str, plain: dict[str, Any], shared: dict[str, Any]) -> float:
    """Print a line of the table; return which share of the tokens' ratio the processor time reached."""
    tokens, seconds = (plain[name] / shared[name] for name in ("tokens", "seconds"))
    losses = zip(plain["losses"], shared["losses"], strict=True)
    cells = (
        case, backend, f"{plain['tokens']:.0f}", f"{shared['tokens']:.0f}", f"{tokens:.2f}",
        f"{plain['seconds']:.2f}", f"{shared['seconds']:.2f}", f"{seconds:.2f}", f"{seconds / tokens:.0%}",
        f"{plain['peak'] / 1e6:.0f}", f"{shared['peak'] / 1e6:.0f}", f"{shared['difference']:.1e}",
        f"{max(abs(one - other) / one for one, other in losses):.1e}",
        f"{shared['tokens'] / shared['seconds']:.0f}", f"{shared['rate'] / 1e9:.0f}",
        f"{shared['rate'] / shared['limit']:.0%}",
    )  # fmt: skip
    _say(f"| {' | '.join(cells)} |")
    return float(seconds / tokens)


def _train(job: Job) -> dict[str, Any]:
    """Train, and return what a step after the first took, and what the trainer says of its batches."""
    with tempfile.TemporaryDirectory() as folder:
        launch = _launch(job, Path(folder))
        trained = load_backend(job.backend).train(launch)
        # Plain batches are no measure of the limit: they multiply padding too.
        operations = _operations(launch, job) if job.way == "shared" else 0.0
    steps = trained.usage.steps
    return {
        "rate": operations * steps.tokens / steps.cpu_seconds,
        "limit": _limit(job.precision),
        "tokens": steps.tokens / steps.count,
        "seconds": steps.cpu_seconds / steps.count,
        "peak": trained.usage.peak_bytes,
        "losses": [point.loss for point in trained.history if point.loss is not None],
        # SystemExit rather than a table of plain steps beside plain steps.
        "difference": trained.facts["shared_prefix"]["difference"] if job.way == "shared" else None,
    }


def _operations(launch: Launch, job: Job) -> float:
    """Return the operations that each token of the training rows needs."""
    from train_operations import Sizes, operations_a_token

    from engine.runtime.rendering.chat import load_chat
    from engine.runtime.training.sft import tokenised

    rows = tokenised(launch.rows / "train.jsonl", load_chat(launch.base_model))
    if rows is None:
        raise SystemExit("no training rows")
    sizes = Sizes.of(launch.base_model, _recipe(job).method.rank)
    return operations_a_token(list(rows), sizes, BATCH)


def _limit(precision: str) -> float:
    """Return the operations a second of large products on one core."""
    import torch

    size = 2048
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    one, other = (torch.randn(size, size).to(dtype) for _ in range(2))
    best = math.inf
    for _ in range(6):
        started = time.process_time()
        one @ other
        best = min(best, time.process_time() - started)
    return 2 * size**3 / best


def _launch(job: Job, folder: Path) -> Launch:
    """Write the rows of a case and compile a training of `STEPS` steps."""
    from evaluate_model import base_model

    case, count = _case(job.case), BATCH * STEPS
    splits = {"train": case.train[:count], "validation": case.train[count:][:VALIDATION]}
    recipe = replace(_recipe(job), task=case.task)
    return make_launch(recipe, splits, base_model(job.root), folder, truncation="fail")


def _case(name: str) -> Case:
    """Return the rows and the task of a case; those of the quickstart stand in ../shared/data too."""
    if name != "quickstart":
        return load_case(name)
    recipe, _ = load_recipe(ROOT / "recipes" / "quickstart.yaml")
    path = DATA / "vader_rated_snippets" / "movieReviewSnippets_GroundTruth.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = [line.rstrip("\n").split("\t") for line in stream]
    random.Random(4).shuffle(lines)  # noqa: S311 - repeatable
    # Of rows between the bins of the recipe only the length counts here.
    rows = [(text, recipe.task.labels[float(rating) > 0]) for _, rating, text in lines]
    return Case(task=recipe.task, train=rows, test=[])


def _recipe(job: Job) -> Recipe:
    """Return the quickstart's recipe with the training of a job."""
    recipe, _ = load_recipe(ROOT / "recipes" / "quickstart.yaml")
    plain = job.way == "plain"
    micro = BATCH // 2 if plain else BATCH
    method = replace(
        recipe.method, epochs=1.0, batch_size=BATCH, micro_batch_size=micro, max_length=1024
    )
    overrides = (("attn_implementation", "sdpa"),) if plain else ()
    backend = replace(
        recipe.backend, name=job.backend, precision=job.precision, overrides=overrides
    )
    return replace(recipe, method=method, backend=backend)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
