"""Compare the stage keys of every shipped and example recipe with those of another checkout.

    uv run --no-sync python .ci/stage_keys.py OTHER    compare with the checkout in folder OTHER (with its own `.venv`)
    uv run --no-sync python .ci/stage_keys.py          print this checkout's keys as JSON

A key that differs means that a stored result is built again. Sizes that are shares are taken of a nominal number of
rows and the first setting stands for a sweep, so that every stage has a key without any data being read.
Exit code 1 where a key differs, or a recipe has keys in one checkout only.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDERS = ("recipes", "tests/examples/valid")


def recipe_files(root: Path) -> list[Path]:
    """Return the recipes of a checkout, in order of their names."""
    return sorted(path for folder in FOLDERS for path in (root / folder).glob("**/*.yaml"))


def keys_of(file: Path, store_folder: Path) -> dict[str, str]:
    """Return the key of each stage on a CPU and on a GPU, by `device/stage`; {} for what is no recipe."""
    from engine.environment import Device
    from engine.errors import EngineError
    from engine.recipe import check_recipe
    from engine.recipe.sweeps import settled
    from engine.review.findings import nominal
    from engine.store import Store

    try:
        from engine.values import replace
    except ImportError:  # before values were those of msgspec
        from dataclasses import replace
    try:
        recipe, _ = check_recipe(file)
    except EngineError:
        return {}
    if recipe is None:
        return {}
    recipe, store = nominal(recipe), Store(store_folder)
    found: dict[str, str] = {}
    for kind in ("cpu", "cuda"):
        device = Device(kind=kind, name="test", memory_bytes=1 << 34, cores=2, bf16=True)
        variants = [recipe]
        if recipe.sweep is not None:
            variants.append(replace(settled(recipe, 0), sweep=None))
        try:
            stages = [stage for one in variants for stage in _plan(one, store, device).stages]
        except (
            EngineError
        ) as error:  # a backend that does not take the recipe refuses it in both checkouts
            found[f"{kind}/refused"] = " ".join(problem.code for problem in error.problems)
            continue
        found |= {f"{kind}/{stage.name}": stage.key.digest for stage in stages if stage.key}
    return found


def _plan(recipe: Any, store: Any, device: Any) -> Any:
    """Plan with made-up identities: both checkouts get the same, whether the files are there or not."""
    try:
        from engine.pipeline.plan import PlanInputs, plan_run
    except ImportError:  # before the modules were moved into packages
        import importlib

        old = importlib.import_module("engine.plan")
        PlanInputs, plan_run = vars(old)["World"], old.plan_run  # noqa: N806 - a class
    from engine.stages import references_of, stages_of

    inputs = PlanInputs(
        device=device,
        sources=tuple({"sha256": f"{number:064x}"} for number, _ in enumerate(recipe.data.sources)),
        base_model={"sha256": "b" * 64, "made": 1},
        references={
            name: {"sha256": "c" * 64}
            for stage in stages_of(recipe)
            for name in references_of(stage, recipe)
        },
        nominal=True,
    )
    keyword = "inputs" if "inputs" in inspect.signature(plan_run).parameters else "world"
    return plan_run(recipe, store, **{keyword: inputs})


def all_keys(root: Path) -> dict[str, dict[str, str]]:
    """Return the keys of every recipe of the checkout that is imported."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            file.relative_to(root).as_posix(): found
            for file in recipe_files(root)
            if (found := keys_of(file, Path(folder)))
        }


def keys_in(root: Path) -> dict[str, dict[str, str]]:
    """Return the keys of another checkout, computed by its own code and environment."""
    done = subprocess.run(
        [root / ".venv/bin/python", "-P", Path(__file__).resolve()],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


def compare(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> list[str]:
    """Return a line for each recipe that only one checkout has, and for each key that differs."""
    lines = [f"{name}: in one checkout only" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        stages = sorted(old[name].keys() | new[name].keys())
        lines += [
            f"{name}: {stage}: {old[name].get(stage)} -> {new[name].get(stage)}"
            for stage in stages
            if old[name].get(stage) != new[name].get(stage)
        ]
    return lines


def main(arguments: list[str]) -> int:
    """Print the keys, or what differs from another checkout."""
    if not arguments:
        sys.stdout.write(json.dumps(all_keys(Path.cwd()), indent=1, sort_keys=True) + "\n")
        return 0
    old, new = keys_in(Path(arguments[0]).resolve()), keys_in(Path(__file__).resolve().parents[1])
    differing = compare(old, new)
    sys.stdout.write("".join(f"{line}\n" for line in differing))
    counted = sum(map(len, new.values()))
    sys.stdout.write(f"{len(new)} recipes, {counted} keys, {len(differing)} differ\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
