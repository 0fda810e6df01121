"""Results on public sets: runs of the engine, and the page that is made of their reports.

    python benchmarks/results.py list
    python benchmarks/results.py run [--only NAME …] [--seeds 1 2 3] [--jobs 1]
    python benchmarks/results.py page [--readme]

`run` writes a recipe for each set and seed (`benchmarks/results_cases.py`) into a work folder and runs it there; what
is there already is not run again. `page` reads the reports of that folder and writes docs/results.md and
docs/results.json, which grow seed by seed: a run replaces that of the same set and seed, and runs of earlier sessions
stay. Numbers that are not there say why. Sets of packages are fetched; others are read below `--data`, one folder a
set, and are passed over where they are absent.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from results_cases import (  # noqa: E402 - they import the engine
    CASES,
    DATA,
    QUANTIZATIONS,
    SEEDS,
    UNFINISHED,
    Case,
    Settings,
    quickstart_base,
    recipe_of,
)
from results_page import PAGE, TABLE, write_pages, written_pages  # noqa: E402 - the same
from results_reports import COMMIT, PROBLEM, RUN, collect  # noqa: E402 - the same
from results_rows import Sources  # noqa: E402 - the same
from results_table import joined, read_results  # noqa: E402 - the same

from engine.store.records import RECORD, REPORTED  # noqa: E402 - the same

MEASURED: Final = ("accepted", "refused", "inconclusive")
"""Outcomes of runs that trained a model, whose files are measured whatever the verdict was."""
REPORT: Final = "report.json"
ROWS: Final = "rows.jsonl"
RECIPE: Final = "recipe.yaml"
FETCHED: Final = ("package", "package_file", "package_folder", "base-model")
"""Results of a store that the next run reads again; the rest is deleted after each run, to spare the disk."""

Command = Callable[[Sequence[str], Path], tuple[int, str]]
"""Runs the engine with words in a folder: its exit code, and what it wrote to standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One set with one seed."""

    case: Case
    seed: int
    work: Path

    @property
    def folder(self) -> Path:
        """Where its recipes, rows and reports stand."""
        return self.work / self.case.name / f"seed-{self.seed}"

    def report_folder(self, name: str = RUN) -> Path:
        """Return where the report of a run is kept: `RUN`, or the quantization that was asked afterwards."""
        return self.folder / name

    def is_of(self, recipe: str) -> bool:
        """Whether what its folder holds is of this recipe."""
        path = self.folder / RECIPE
        return path.is_file() and path.read_text("utf-8") == recipe

    def is_done_with(self, recipe: str) -> bool:
        """Whether there is nothing left to run: the recipe is the one that was run, and it came to an end."""
        names = [RUN, *self.files_left()]
        return self.is_of(recipe) and all(_is_finished(self.report_folder(name)) for name in names)

    def files_left(self) -> list[str]:
        """Return the quantizations of which its run made no file, or did not ask it.

        The engine makes none of a refused model, and stops at the smallest file that passes.
        """
        if outcome_of(self.report_folder()) not in MEASURED:
            return []
        asked = _asked(self.report_folder())
        return [name for name in QUANTIZATIONS if name not in asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How jobs are run."""

    sources: Sources
    settings: Settings
    command: Command
    commit: str = ""
    """Of the engine that runs."""
    keep_models: bool = False
    again: bool = False
    """Run also what is done: the engine is another one than before."""

    def run(self, job: Job, store: Path) -> str:
        """Run a job and return what it came to, in a few words. FileNotFoundError where its data are absent."""
        rows = job.case.rows(self.sources)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write = partial(
            recipe_of,
            job.case,
            labels=job.case.labels(rows),
            rows={"path": ROWS, "sha256": sha256(text.encode()).hexdigest()},
            seed=job.seed,
            settings=self.settings,
        )
        recipe = write()
        if job.is_done_with(recipe) and not self.again:
            return f"done before: {outcome_of(job.report_folder()).replace('_', ' ')}"
        if self.again or not job.is_of(recipe):
            # with it go the lock and the reports of another recipe
            shutil.rmtree(job.folder, ignore_errors=True)
        job.folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((ROWS, text), (RECIPE, recipe), (COMMIT, self.commit)):
            (job.folder / name).write_text(content, encoding="utf-8")
        if not _is_finished(job.report_folder()):
            self._run(job, RECIPE, store, RUN)
        for name in job.files_left():
            # everything before the files is reused
            again = f"recipe-{name}.yaml"
            (job.folder / again).write_text(write(only=name), encoding="utf-8")
            self._run(job, again, store, name)
        if not self.keep_models and job.is_done_with(recipe):
            prune(store)
        outcome = outcome_of(job.report_folder())
        return (
            outcome.replace("_", " ") or (job.folder / PROBLEM).read_text("utf-8").splitlines()[0]
        )

    def _run(self, job: Job, recipe: str, store: Path, name: str) -> str:
        """Run one recipe, keep its report, and return its outcome; empty where it left none."""
        base = self.settings.base.get("path")
        allowed = ["--allow-read", base] if base else []
        run, errors = run_recipe(self.command, job.folder / recipe, store, *allowed)
        problem = job.folder / PROBLEM
        if run is None:
            problem.write_text(errors, encoding="utf-8")
            return ""
        problem.unlink(missing_ok=True)
        keep(run, job.report_folder(name))
        return outcome_of(job.report_folder(name))


def run_recipe(command: Command, recipe: Path, store: Path, *more: str) -> tuple[Path | None, str]:
    """Run a recipe; return the folder of its run, None where it left none, and what the engine wrote of that."""
    before = set(store.glob(f"runs/*/*/{RECORD}"))
    words = [
        "run",
        str(recipe),
        "--store",
        str(store),
        "--format",
        "json",
        "--quiet",
        *more,
    ]
    code, errors = command(words, recipe.parent)
    made = set(store.glob(f"runs/*/*/{RECORD}")) - before
    return (made.pop().parent if made else None), errors.strip() or f"exit code {code}"


def keep(run: Path, folder: Path) -> None:
    """Copy what a run folder says, without its models."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in (*REPORTED, RECORD):
        if (run / name).is_file():
            shutil.copy2(run / name, folder / name)


def prune(store: Path) -> None:
    """Delete the models of the runs of a store, and every result but what was fetched."""
    for manifest in store.glob("store/*/*/artifact.json"):
        if json.loads(manifest.read_text("utf-8"))["stage"] not in FETCHED:
            shutil.rmtree(manifest.parent)
    shutil.rmtree(store / "runs", ignore_errors=True)
    shutil.rmtree(store / "scratch", ignore_errors=True)


def outcome_of(folder: Path) -> str:
    """Return what the report in a folder came to; empty where there is none."""
    found = _report(folder)
    return str(found["outcome"]) if found else ""


def _is_finished(folder: Path) -> bool:
    return outcome_of(folder) not in ("", *UNFINISHED)


def _asked(folder: Path) -> list[str]:
    """Return the forms of the model that a run asked the holdout."""
    found = _report(folder)
    return [str(variant["name"]) for variant in found["ladder"]] if found else []


def _report(folder: Path) -> dict[str, Any]:
    path = folder / REPORT
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found


def engine_command(words: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run the engine of this repository in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "engine", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )
    return done.returncode, done.stderr


def commit() -> str:
    """Return the commit of the engine, with a plus sign for one with changes; empty outside of a repository."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=+"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def run_all(jobs: Sequence[Job], runner: Runner, *, work: Path, at_once: int = 1) -> int:
    """Run what is not done yet and return how many of the jobs left no result."""
    stores: SimpleQueue[Path] = SimpleQueue()
    for number in range(1, at_once + 1):
        # one for each that runs at the same time: a store is emptied after each run
        stores.put(work / f"store-{number}")

    def one(job: Job) -> bool:
        name = f"{job.case.name}, seed {job.seed}"
        with _taken(stores) as store:
            try:
                outcome = runner.run(job, store)
            except FileNotFoundError as error:
                _say(f"{name}: no data at {error.filename}; they are {job.case.origin}")
                return False
        _say(f"{name}: {outcome}")
        return bool(outcome_of(job.report_folder()))

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, jobs)).count(False)


@contextlib.contextmanager
def _taken(stores: SimpleQueue[Path]) -> Iterator[Path]:
    store = stores.get()
    try:
        yield store
    finally:
        stores.put(store)


def jobs_of(names: Sequence[str], seeds: Sequence[int], work: Path) -> list[Job]:
    """Return the jobs, seed by seed, so that every set has a number early. SystemExit for a name of no set."""
    known = {case.name: case for case in CASES}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no set is called {', '.join(unknown)}: {', '.join(known)}")
    chosen = [known[name] for name in names or known]
    return [
        Job(case=case, seed=seed, work=work) for seed in dict.fromkeys(seeds) for case in chosen
    ]


def main(words: Sequence[str] | None = None, command: Command = engine_command) -> int:
    """List, run, or write the page."""
    options = _parser().parse_args(words)
    if options.verb == "list":
        for case in CASES:
            train, validation, holdout = case.sizes
            rows = f"{train} + {validation} + {holdout} rows"
            _say(f"{case.name:14} {case.group:12} {case.kind:14} {rows:22} {case.title}")
        return 0
    if options.verb == "page":
        return _page(options)
    settings = Settings(base=quickstart_base())
    if options.base is not None:
        settings = replace(settings, base={"path": str(options.base.resolve())})
    if options.backend:
        settings = replace(settings, backend={"name": options.backend})
    # a folder of packages of its own: stores are emptied
    sources = Sources(data=options.data, packages=options.work / "packages")
    runner = Runner(
        sources=sources,
        settings=settings,
        command=command,
        commit=commit(),
        keep_models=options.keep_models,
        again=options.again,
    )
    work = options.work.resolve()
    jobs = jobs_of(options.only, options.seeds, work)
    return 1 if run_all(jobs, runner, work=work, at_once=options.jobs) else 0


def _page(options: argparse.Namespace) -> int:
    try:
        return _write_or_check(options)
    except ValueError as error:
        raise SystemExit(str(error)) from error


def _write_or_check(options: argparse.Namespace) -> int:
    readme = ROOT / "README.md" if options.readme else None
    if options.check:
        stale = [path for path, text in written_pages(TABLE, readme).items() if _read(path) != text]
        for path in stale:
            _say(f"out of date: {path.relative_to(ROOT).as_posix()}")
        return 1 if stale else 0
    results = replace(collect(options.work), notes=tuple(options.note))
    if not results.lines:
        raise SystemExit(f"no runs below {options.work}: python benchmarks/results.py run")
    earlier = options.output / TABLE.name
    if earlier.is_file() and not options.fresh:
        # other runs may have been made, and their folders deleted, long ago
        results = joined(read_results(earlier), results)
    for path in write_pages(results, options.output, readme):
        _say(f"wrote {path}")
    return 0


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="the sets")
    run = verbs.add_parser("run", help="run what has no result yet")
    run.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these sets")
    run.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, metavar="SEED", help="these, not how many"
    )
    run.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    run.add_argument(
        "--data", type=Path, default=DATA, help="the folder of sets that no package holds"
    )
    run.add_argument("--base", type=Path, help="another base model, on disk")
    run.add_argument("--backend", default="", help="another one than the engine's default")
    run.add_argument("--keep-models", action="store_true", help="delete nothing after a run")
    run.add_argument(
        "--again", action="store_true", help="what is done too: the engine has changed"
    )
    page = verbs.add_parser("page", help="write docs/results.md and docs/results.json")
    page.add_argument("--output", type=Path, default=PAGE.parent, help="another folder for them")
    page.add_argument(
        "--fresh", action="store_true", help="only these runs: forget those of earlier sessions"
    )
    page.add_argument(
        "--note",
        action="append",
        default=[],
        help="a line for the head of the page: how the runs were made",
    )
    page.add_argument("--readme", action="store_true", help="the excerpt in README.md too")
    page.add_argument(
        "--check", action="store_true", help="only tell whether pages are those of results.json"
    )
    for verb in (run, page):
        verb.add_argument("--work", type=Path, default=ROOT / ".recipe" / "results")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
