"""The data stage on its own, with a real store: shared by its tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.artifacts.stage import StageContext
from engine.environment import Device
from engine.progress import Progress
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.stages import data as stage
from engine.store import Artifact, Store, make_key
from support.project import BASE, rows

DATA: dict[str, Any] = {
    "sources": [{"path": "rows.csv"}],
    "label": {"column": "label"},
    "checks": {"leakage": "warn"},  # the made-up rows are much alike
}
CPU = Device(kind="cpu", name="cpu", memory_bytes=1, cores=1, bf16=False)


class Quiet:
    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


def recipe(folder: Path, **changes: Any) -> Recipe:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "base").mkdir(exist_ok=True)
    fields = {**BASE, "data": DATA, **changes}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")[0]


def write_rows(path: Path, count: int = 140) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    lines = [f"{text},{label}\n" for text, label in rows(count)]
    path.write_text("text,label\n" + "".join(lines), encoding="utf-8")


def holdout_of(made: list[Artifact]) -> Artifact:
    (holdout,) = [one for one in made if one.stage == "holdout"]
    return holdout


def run(
    asked: Recipe, folder: Path, progress: Progress | None = None
) -> tuple[Path, list[Artifact]]:
    store, made = Store(folder / "store"), []

    def cached(name: str, payload: Mapping[str, Any], build: Any) -> Artifact:
        made.append(store.put(name, make_key({"product": name, **payload}), build))
        return made[-1]

    workdir = folder / "work"
    workdir.mkdir()
    context = StageContext(
        recipe=asked,
        device=CPU,
        artifacts={},
        key="k" * 64,
        inputs={},
        base_model={},
        workdir=workdir,
        scratch=folder,
        progress=progress or Quiet(),
        cached=cached,
        scratch_for=lambda name, _payload: folder / name,
    )
    stage.run(context)
    return workdir, made
