"""Estimates of memory and time against what trainings take: `python benchmarks/estimates.py`.

With `--tokens`, the estimated tokens of rows against those that the tokenizer counts; nothing is trained then.

For each configuration two trial steps (after one that warms up) in one process, then the training
itself in another, both on one core. Memory is the peak of the resident size; beside it stands what
accelerate's `estimate-memory` computes for the same model. Time is judged by processor time, since other
work on the machine makes wall clocks differ between two runs of the same thing; the wall is printed too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from estimates_cases import Case, cases, make_model, write_project
from estimates_tokens import GOAL, SCRIPT_HEADS, TOKEN_HEADS, script_table, token_table

from engine.backends.usage import Spent, Usage
from engine.environment import detect_device
from engine.estimate.cost import measured_duration
from engine.estimate.training import course_of, known_of
from engine.pipeline.plan import collect_inputs, plan_run
from engine.recipe import load_recipe
from engine.store import Store
from engine.training.train import USAGE
from engine.values import fields, from_json, replace

ROOT = Path(__file__).resolve().parents[1]
MEMORY_GOAL, TIME_GOAL = 0.10, 0.15
HEADS = (
    "configuration", "peak MB", "computed", "off", "after trial steps", "off", "accelerate", "off",
    "CPU s", "after trial steps", "off", "steps alone, off", "wall, off",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one configuration came to; bytes and seconds."""

    case: Case
    peak: int
    unmeasured_duration: int
    probed: int
    accelerate: int
    cpu: float
    cpu_probed: float
    steps_off: float
    wall_off: float

    def cells(self) -> list[str]:
        """Return the line of the table."""
        return [
            self.case.name,
            _mb(self.peak),
            _mb(self.unmeasured_duration), _off(self.unmeasured_duration, self.peak),
            _mb(self.probed), _off(self.probed, self.peak),
            _mb(self.accelerate), _off(self.accelerate, self.peak),
            f"{self.cpu:.1f}", f"{self.cpu_probed:.1f}", _off(self.cpu_probed, self.cpu),
            f"{self.steps_off:+.1%}", f"{self.wall_off:+.1%}",
        ]  # fmt: skip


def main() -> int:
    """Run the chosen configurations and print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="configurations whose name holds this")
    parser.add_argument("--work", type=Path, help="a folder to keep (default: a temporary one)")
    parser.add_argument(
        "--tokens", action="store_true", help="compare tokens of rows, train nothing"
    )
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    chosen = [case for case in cases() if options.only in case.name]
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        if options.tokens:
            return _compare_tokens(work)
        lines = list(_lines(chosen, work))
    memory = max(abs(line.probed / line.peak - 1) for line in lines)
    time = max(abs(line.cpu_probed / line.cpu - 1) for line in lines)
    _say(f"\nfarthest off after trial steps: memory {memory:.1%}, processor time {time:.1%}")
    return 0 if memory <= MEMORY_GOAL and time <= TIME_GOAL else 1


def _compare_tokens(work: Path) -> int:
    """Print the estimated tokens of rows beside the counted ones; 1 where one is farther off than the goal."""
    lines, farthest = token_table(work)
    _say_table(TOKEN_HEADS, lines)
    _say(f"\nfarthest off from characters: {farthest:.1%}\n")
    _say_table(SCRIPT_HEADS, script_table(work))
    return 0 if farthest <= GOAL else 1


def _say_table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    _say(f"| {' | '.join(heads)} |")
    _say(f"|{'---|' * len(heads)}")
    for line in lines:
        _say(f"| {' | '.join(line)} |")


def _lines(chosen: list[Case], work: Path) -> Iterator[Line]:
    _say(f"| {' | '.join(HEADS)} |")
    _say(f"|{'---|' * len(HEADS)}")
    for case in chosen:
        line = _measure(case, work)
        _say(f"| {' | '.join(line.cells())} |")
        yield line


def _measure(case: Case, work: Path) -> Line:
    base = make_model(work / f"model-{case.size}", case.size)
    folder = work / case.slug
    shutil.rmtree(folder, ignore_errors=True)
    recipe = write_project(folder, case, base)
    store = Store(folder / ".recipe")
    unmeasured_duration = _plan(recipe, store.root)
    probed = _plan(recipe, store.root, "--probe")
    estimated = _estimated(recipe, store)
    _recipe("run", recipe, store.root, "--until", "train")
    (found,) = store.root.glob(f"store/*/*/files/{USAGE}")
    actual = from_json(Usage, json.loads(found.read_text(encoding="utf-8")))
    wall = sum(spent.seconds for spent in _phases(actual))
    line = Line(
        case=case,
        peak=actual.peak_bytes,
        unmeasured_duration=unmeasured_duration["memory_bytes"],
        probed=probed["memory_bytes"],
        accelerate=_accelerate(base),
        cpu=actual.cpu_seconds,
        cpu_probed=estimated["cpu"],
        steps_off=estimated["steps"] / (actual.first.cpu_seconds + actual.steps.cpu_seconds) - 1,
        wall_off=probed["stages"]["train"]["seconds"] / wall - 1,
    )
    shutil.rmtree(folder)
    return line


def _plan(recipe: Path, root: Path, *words: str) -> dict[str, Any]:
    plan = json.loads(_recipe("plan", recipe, root, "--format", "json", *words))
    estimate: dict[str, Any] = plan["estimate"]
    return estimate


def _recipe(verb: str, recipe: Path, root: Path, *words: str) -> str:
    command = [sys.executable, "-m", "engine", verb, str(recipe), "--store", str(root), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _estimated(file: Path, store: Store) -> dict[str, float]:
    """Return what trial steps say of processor time: the same formula, with its processor seconds as seconds."""
    recipe, _ = load_recipe(file)
    device = detect_device()
    inputs = collect_inputs(recipe, store, device)
    data = plan_run(recipe, store, inputs=inputs).stage("data").reused
    known = known_of(recipe, store, device, inputs.base_model, data)
    course = course_of(recipe, known.workload)
    if known.measured is None or known.shape is None or course is None:
        raise SystemExit(f"no probe is known of {file}")
    usage = _computed(known.measured.usage)
    found = measured_duration(recipe.method, known.shape, course, usage)
    warm = usage.starting.seconds
    return {"cpu": sum(found.values()), "steps": found["steps"] + found["start"] - warm}


def _computed(usage: Usage) -> Usage:
    given = {field.name: getattr(usage, field.name) for field in fields(usage)}
    spent: dict[str, Any] = {
        name: replace(value, seconds=value.cpu_seconds)
        for name, value in given.items()
        if isinstance(value, Spent)
    }
    return replace(usage, **spent)


def _phases(usage: Usage) -> Iterator[Spent]:
    for field in fields(usage):
        value = getattr(usage, field.name)
        if isinstance(value, Spent):
            yield value


def _accelerate(base: Path) -> int:
    """Return the largest of what `accelerate estimate-memory` prints for training in float32 with Adam."""
    from accelerate import init_empty_weights  # brings torch
    from accelerate.commands.estimate import estimate_training_usage  # brings torch
    from accelerate.utils import calculate_maximum_sizes  # brings torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    total, _ = calculate_maximum_sizes(model)
    return int(max(estimate_training_usage(total, "float32").values()))


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f}"


def _off(estimate: float, actual: float) -> str:
    return f"{estimate / actual - 1:+.1%}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
