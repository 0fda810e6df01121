"""What all looks for silent faults cost together, as a share of a quickstart's processor time: at most 3 %.

    python benchmarks/looks.py

Runs the recipe once, in a copy of the engine with a store of its own. In each of its processes the functions of
`LOOKS` are timed, with the processes that they start and wait for; a look within a look counts once. What a process
reads once and first in a look (`KEPT`) is no part of it where it is read anyway later. Where one of them has gone, the
run ends with an error. No looks are what was judged before there were any (the holdout, asked of the adapter, the
merged model and the exported file), and the checks of rows, which recipes switch on and off. Ends with 1 where the
share is larger.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

MOST: Final = 0.03
COPIED: Final = ("engine", "recipes", "schemas")
UNCONFINED: Final = """
import sys
from engine.process.start import Command
words = Command.words
Command.words = lambda command, rights=None: words(command)
from engine.cli.main import main
sys.exit(main())
"""
"""A run whose children may write the log."""
TIMER: Final = "looks_timer"
"""This file's name in the copy of the engine."""
BEFORE, WITHIN, AFTER, EXPORT, DIGESTS, SHARED = (
    *("before the first step", "in the trainer", "after training", "merge and export"),
    *("results read again", "read anyway"),
)
LOOKS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "engine.training.preflight": (BEFORE, ("check_base_model",)),
    "engine.training.rendered": (BEFORE, ("_check_chat", "_look_at_holdout")),
    "engine.runtime.scoring.likelihood": (BEFORE, ("refuse_other_scores", "refuse_other_nats")),
    # Classes stand for all their methods.
    "engine.runtime.training.callbacks": (WITHIN, ("Watch",)),
    "engine.runtime.training.first_step": (WITHIN, ("FirstStep",)),
    "engine.runtime.training.rows_seen": (WITHIN, ("RowsSeen",)),
    "engine.runtime.training.reference": (WITHIN, ("Reference",)),
    "engine.runtime.training.batches": (WITHIN, ("SharedPrefix.on_train_begin",)),
    "engine.backends.events": (WITHIN, ("TrainingMonitor.handle",)),
    "engine.backends.trainer_state": (WITHIN, ("set_damaged_aside", "judge_ending")),
    "engine.runtime.training.saved_weights": (AFTER, ("adapter_norm", "model_norm")),
    "engine.training.train": (AFTER, ("refuse_another_model",)),
    "engine.inference.cached": (AFTER, ("refuse_moved_answers",)),
    "engine.metrics.contradictions": (
        AFTER,
        ("holdout_against_validation", "loss_against_answers"),
    ),
    "engine.stages.merge": (EXPORT, ("_check_base",)),
    "engine.runtime.models.merge": (EXPORT, ("check_merge", "check_copy")),
    "engine.stages.verify": (
        EXPORT,
        tuple(
            f"_ParityChain.{name}"
            for name in ("_sixteen_bit", "_lossless_checks", "_other_settings")
        ),
    ),
    "engine.inference.predict_gguf": (
        EXPORT,
        (
            *("same_readings", "GgufAsker._ids", "GgufAsker._by_corpus", "GgufAsker._trained_ids"),
            *("GgufAsker._by_ollama", "GgufAsker._by_the_file"),
        ),
    ),
    "engine.runtime.llama.engine": (EXPORT, ("Engine.read",)),
    "engine.store.store": (DIGESTS, ("Store._is_intact", "Store.deliver")),
}
KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "engine.runtime.rendering.chat": ("_kept_tokenizer",),
    "engine.runtime.models.model_files": ("_require_numbers",),
}
"""What processes read once, by the state of the files; none calls another."""


class Timer:
    """Times looks in one process, and writes a line for each to `log`."""

    def __init__(self, log: Path) -> None:
        """Begin outside of any look."""
        self._log, self._is_inside = log, False
        self._within = log.with_suffix(".within")
        """Is there while one is taken, with the last process before it: those that it starts are part of it."""
        self._first = dict[str, float]()
        """What was read first in a look, and what it took."""

    def is_part(self) -> bool:
        """Say whether this process was started by a look."""
        try:
            # Of its group: what the engine starts is a child of the first process of one.
            return os.getpgrp() > int(self._within.read_text(encoding="utf-8") or os.getpgrp())
        except OSError:
            return False

    def timed(self, part: str, look: Callable[..., Any]) -> Callable[..., Any]:
        """Return a look that is timed."""
        if inspect.isgeneratorfunction(look):
            raise TypeError(look.__qualname__)

        @functools.wraps(look)
        def run(*given: Any, **named: Any) -> Any:
            if self._is_inside:
                return look(*given, **named)
            self._is_inside = True
            # Its last word is the number of the process that was started last.
            last = Path("/proc/loadavg").read_text(encoding="utf-8").split()[-1]
            self._within.write_text(last, encoding="utf-8")
            began = _processor()
            try:
                return look(*given, **named)
            finally:
                taken = _processor() - began
                self._is_inside = False
                self._within.unlink(missing_ok=True)
                self._write(part, look.__qualname__, taken)

        return run

    def kept(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that keeps what it reads, whose first call in a look is taken back by one outside."""

        @functools.wraps(read)
        def run(*given: Any, **named: Any) -> Any:
            what = f"{read.__qualname__}{given}{named}"
            is_first, self._first[what] = what not in self._first, self._first.get(what, 0.0)
            began = _processor()
            found = read(*given, **named)
            if is_first and self._is_inside:
                self._first[what] = _processor() - began
            elif (taken := self._first[what]) and not self._is_inside:
                self._first[what] = 0.0
                self._write(SHARED, read.__qualname__, -taken)
            return found

        return run

    def _write(self, part: str, name: str, taken: float) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps([part, name, taken]) + "\n")

    def find_spec(self, name: str, path: Any, _target: Any = None) -> ModuleSpec | None:
        """Find a module with looks, as `sys.meta_path` asks for it."""
        found = PathFinder.find_spec(name, path) if name in LOOKS or name in KEPT else None
        if found is None or found.loader is None:
            return None
        execute = found.loader.exec_module

        def execute_and_wrap(module: ModuleType) -> None:
            execute(module)
            part, names = LOOKS.get(name, ("", ()))
            for one in names:
                self._wrap(module, part, one)
            for one in KEPT.get(name, ()):
                setattr(module, one, self.kept(getattr(module, one)))

        vars(found.loader)["exec_module"] = execute_and_wrap
        return found

    def _wrap(self, place: Any, part: str, name: str) -> None:
        *outer, last = name.split(".")
        for one in outer:
            place = getattr(place, one)
        look = getattr(place, last)
        if not inspect.isclass(look):
            setattr(place, last, self.timed(part, look))
            return
        # What a generator does is done while another method of its class reads it.
        methods = [name for name, value in vars(look).items() if inspect.isfunction(value)]
        for method in methods:
            if not inspect.isgeneratorfunction(vars(look)[method]):
                self._wrap(look, part, method)


def install(log: str) -> None:
    """Time the looks of this process, unless it is part of one."""
    timer = Timer(Path(log))
    if not timer.is_part():
        sys.meta_path.insert(0, timer)


def _processor() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + spent.ru_utime + spent.ru_stime


def main() -> int:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="recipes/quickstart.yaml")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="looks-") as made:
        work, log = Path(made) / "tree", Path(made) / "looks.jsonl"
        for name in COPIED:
            shutil.copytree(Path(__file__).parents[1] / name, work / name)
        shutil.copyfile(__file__, work / "engine" / f"{TIMER}.py")
        with (work / "engine" / "__init__.py").open("a", encoding="utf-8") as package:
            package.write(f"\nfrom engine.{TIMER} import install\n\ninstall({str(log)!r})\n")
        words = ("-c", UNCONFINED, "run", options.recipe, "--unconfined", "--quiet")
        variables = {**os.environ, "PYTHONPATH": str(work)}
        subprocess.run([sys.executable, *words], cwd=work, env=variables, check=True)
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return _print(lines, spent.ru_utime + spent.ru_stime)


def _print(lines: list[tuple[str, str, float]], whole: float) -> int:
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for part, name, taken in lines:
        seconds[part, name].append(taken)
    print("| when | look | times | CPU s | share |\n|---|---|---|---|---|")
    for (part, name), each in sorted(seconds.items(), key=lambda one: -sum(one[1])):
        taken = sum(each)
        print(f"| {part} | `{name}` | {len(each)} | {taken:.2f} | {taken / whole:.2%} |")
    looks = sum(map(sum, seconds.values()))
    print(
        f"\n{looks:.1f} of {whole:.1f} CPU seconds are looks: {looks / whole:.2%} (at most {MOST:.0%})"
    )
    return 1 if looks > MOST * whole else 0


if __name__ == "__main__":
    sys.exit(main())
