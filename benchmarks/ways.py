"""One task by every way to make a small model of it, and the table that the results page has of them.

    python benchmarks/ways.py run [--only NAME …]
    python benchmarks/ways.py page

`run` writes a recipe for each way (`benchmarks/ways_recipes.py`) into a work folder and runs it there, the teacher
before its students; what is there already is not run again. `page` reads what they left, the store among it, and
writes docs/ways.json and the section of docs/results.md that is made of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import results  # noqa: E402 - it imports the engine
from results_cases import DATA, Case, Settings, quickstart_base  # noqa: E402 - the same
from results_page import PAGE, TABLE, written_pages  # noqa: E402 - the same
from results_reports import COMMIT, PROBLEM  # noqa: E402 - the same
from results_rows import Sources  # noqa: E402 - the same
from ways_recipes import (  # noqa: E402 - the same
    LORA,
    MODELS,
    SPEED,
    TEACHER,
    WAYS,
    Sizes,
    Way,
    headlines,
    recipe_of,
    speed_recipe,
    write_rows,
)
from ways_table import collect, last_run, write_table  # noqa: E402 - the same

STORE: Final = "store"
NEEDED: Final = (LORA, TEACHER)
"""Ways without which there is no table: what the others are compared with, and what some of them learn from."""
DONE: Final = ("accepted", "stopped")
"""Outcomes of a way that left its model, and of the models that were asked for their speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayRunner:
    """How ways are run: all in one folder, on one store, so that a teacher is asked each question once."""

    folder: Path
    case: Case
    sources: Sources
    settings: Settings
    sizes: Sizes
    command: results.Command
    commit: str = ""

    @property
    def store(self) -> Path:
        """Where results are kept."""
        return self.folder / STORE

    def run(self, ways: Sequence[Way]) -> int:
        """Run what is not done yet, and return how many ways left no model. ValueError where rows are missing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / COMMIT).write_text(self.commit, encoding="utf-8")
        labels = write_rows(self.case, self.sources, self.sizes, self.folder)
        failed = 0
        for way in ways:
            text = recipe_of(
                way, self.case, labels=labels, sizes=self.sizes, settings=self.settings
            )
            outcome = self._once(way.name, text)
            _say(f"{way.name}: {outcome}")
            failed += not (self.folder / MODELS / way.name).is_dir()
        made = [way.name for way in WAYS if (self.folder / MODELS / way.name).is_dir()]
        text = speed_recipe(made, self.case, labels=labels, settings=self.settings)
        _say(f"{SPEED}: {self._once(SPEED, text, '--until', 'baseline')}")
        return failed

    def _once(self, name: str, text: str, *more: str) -> str:
        """Run a recipe unless this very one was run to its end, and lay the model that left into `MODELS`."""
        recipe, last = self.folder / f"{name}.yaml", last_run(self.store, name)
        is_same = recipe.is_file() and recipe.read_text("utf-8") == text
        if last and is_same and results.outcome_of(last) in DONE:
            return f"done before: {results.outcome_of(last)}"
        if not is_same:
            # a lock of another recipe, or of other rows, would have to be renewed
            for path in self.folder.glob(f"{name}.lock*"):
                path.unlink()
        recipe.write_text(text, encoding="utf-8")
        base = self.settings.base.get("path")
        allowed = ["--allow-read", base] if base else []
        run, output = results.run_recipe(self.command, recipe, self.store, *allowed, *more)
        problem = self.folder / f"{name}.{PROBLEM}"
        if run is None:
            problem.write_text(output, encoding="utf-8")
            return output.splitlines()[0]
        problem.unlink(missing_ok=True)
        if (run / "model").is_dir():
            _link(run / "model", self.folder / MODELS / name)
        return results.outcome_of(run)


def _link(model: Path, place: Path) -> None:
    """Lay a model's folder elsewhere without a second copy of its bytes."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(model.resolve(), place, copy_function=_linked)


def _linked(source: str, target: str) -> str:
    real = os.path.realpath(source)
    try:
        os.link(real, target)
    except OSError:
        # another disk
        shutil.copy2(real, target)
    return target


def main(words: Sequence[str] | None = None, command: results.Command | None = None) -> int:
    """Run, or write the page."""
    options = _parser().parse_args(words)
    folder = options.work.resolve()
    if options.verb == "page":
        found = collect(folder, store=folder / STORE, case=headlines(), sizes=Sizes())
        write_table(found, options.output)
        for path, text in written_pages(options.output / TABLE.name).items():
            path.write_text(text, encoding="utf-8")
            _say(f"wrote {path}")
        return 0
    settings = Settings(base=quickstart_base(), backend={"name": options.backend})
    if options.base is not None:
        settings = replace(settings, base={"path": str(options.base.resolve())})
    runner = WayRunner(
        folder=folder,
        case=headlines(),
        sources=Sources(data=options.data, packages=folder / "packages"),
        settings=settings,
        sizes=Sizes(),
        command=command or results.engine_command,
        commit=results.commit(),
    )
    known = {way.name: way for way in WAYS}
    if unknown := [name for name in options.only if name not in known]:
        raise SystemExit(f"no way is called {', '.join(unknown)}: {', '.join(known)}")
    chosen = [way for way in WAYS if not options.only or way.name in (*options.only, *NEEDED)]
    return 1 if runner.run(chosen) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run what has no result yet")
    run.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these ways")
    run.add_argument("--data", type=Path, default=DATA, help="as in results.py")
    run.add_argument("--base", type=Path, help="another base model, on disk")
    run.add_argument("--backend", default="trl", help="trains in the process of the run")
    page = verbs.add_parser("page", help="write docs/ways.json and docs/results.md")
    page.add_argument("--output", type=Path, default=PAGE.parent, help="another folder for them")
    for verb in (run, page):
        verb.add_argument("--work", type=Path, default=ROOT / ".recipe" / "ways")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
