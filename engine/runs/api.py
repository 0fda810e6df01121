"""The Python interface, `from engine import …`: recipes, plans, runs, reports and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.environment import detect_device
from engine.evidence import Report, StageRecord
from engine.lock.policy import PLAIN, LockOptions, lock_policy
from engine.pipeline.loop import RunOptions, Watcher
from engine.pipeline.plan import Plan, collect_inputs, plan_run
from engine.process import interrupts
from engine.process.library_settings import taken_out_problem
from engine.recipe import load_recipe as read_recipe
from engine.recipe.model import Recipe
from engine.render.progress_display import SilentProgress
from engine.render.report.page import read_json
from engine.runs.run import RunResult, run_recipe
from engine.runs.stored_run import exported_gguf, find_run, is_model_file
from engine.sources.hub import quieten
from engine.store import Artifact, Store
from engine.store.records import Runs, read_file
from engine.store.root import checked_root, foreign_problem

if TYPE_CHECKING:
    from engine.runtime.llama.client import Answer

STORE = ".recipe"

Location = str | Path


class SilentWatcher:
    """A watcher that shows nothing; pass your own to `run` to see its progress."""

    def stage(self, name: str) -> SilentProgress:
        del name
        return SilentProgress()

    def ended(
        self, record: StageRecord, artifacts: Mapping[str, Artifact], recipe: Recipe
    ) -> None: ...


def load_recipe(path: Location) -> Recipe:
    """Return a recipe file as a value.

    Raises:
        RecipeError: all problems of a file that is not valid, or cannot be read.

    """
    return read_recipe(Path(path))[0]


def plan(recipe: Recipe, *, store: Location | None = None) -> Plan:
    """Return the plan of `run`: each stage with its key and its stored result, or the reason why it runs.

    Raises:
        DataError, RecipeError: a local file cannot be read, or is not the pinned one; the lock cannot be read.
        StoreError: the store's folder is not safe to use.

    """
    root = _root(store)
    device = lock_policy(recipe, PLAIN).device(detect_device())
    results = Store(root)
    return plan_run(
        recipe,
        results,
        inputs=collect_inputs(recipe, results, device),
        previous=Runs(root).payloads(recipe.name),
    )


def run(
    recipe: Recipe,
    *,
    store: Location | None = None,
    until: str | None = None,
    force: Sequence[str] = (),
    lock: Literal["compare", "frozen", "update"] = "compare",
    watcher: Watcher | None = None,
) -> RunResult:
    """Run a recipe; `until`, `force` and `lock` (`--frozen`, `--update-lock`) are those of `recipe run`.

    The error of a stage is `error` of the result, not raised: finished stages are stored, and the next call resumes.

    Raises:
        ValueError: the recipe differs from its file, of which the report has a copy.
        RecipeError, DataError, EnvironmentProblem, StoreError: the run cannot begin.

    """
    as_written, warnings = read_recipe(recipe.file)
    if as_written != recipe:
        raise ValueError(
            f"this recipe is not the one in `{recipe.file.name}`: write the change to a file, and load that"
        )
    root = _root(store)
    noted = (foreign_problem(root), taken_out_problem())
    # Before any library that reads at import whether it may use the network.
    quieten()
    with interrupts.handled():
        return run_recipe(
            recipe,
            (*warnings, *(one for one in noted if one is not None)),
            root=root,
            options=RunOptions(until=until, force=tuple(force)),
            watcher=watcher or SilentWatcher(),
            lock_options=LockOptions(frozen=lock == "frozen", update=lock == "update"),
        )


def load_report(reference: Location = "", *, store: Location | None = None) -> Report:
    """Return the report of a run: of a folder, of `recipe/run`, of a recipe's latest run, or of the newest run of all.

    Raises:
        RecipeError: R006 there is no such run.
        StoreError: its files cannot be read.
        ValueError: its report is damaged.

    """
    folder = find_run(_root(store), str(reference))
    return read_json(read_file(folder, "report.json").decode("utf-8"))


def predict(
    model: Location, text: str, *, abstain_below: float | None = None, store: Location | None = None
) -> Answer:
    """Return an exported model's answer to one text, prompted as in training, in llama.cpp.

    `model` is a recipe's name, a run's folder or a GGUF file in one folder with its `task.json`. With a probability
    below its own threshold, or `abstain_below`, the answer has `abstained` and no label; 0 answers every text.

    Raises:
        ValueError: `abstain_below` is no probability.
        RecipeError: R006 there is no such model, R437 the text is blank, R449 it is too long.
        StoreError: E751 the run was not made here; E758 the file is not the exported one.
        StageError, EnvironmentProblem: llama.cpp or the model fails (X640 to X643).

    """
    from engine.runtime.llama.client import answer_text

    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise ValueError(f"abstain_below={abstain_below!r} is not between 0 and 1")
    gguf = Path(model)
    if not is_model_file(str(model)):
        gguf = exported_gguf(find_run(_root(store), str(model)))
    return answer_text(
        gguf,
        text,
        abstain_below=abstain_below,
        threads=detect_device().cores,
        progress=SilentProgress(),
    )


def _root(store: Location | None) -> Path:
    # users are asked whom to trust on the command line only
    return checked_root(Path(store or STORE), is_named=store is not None)
