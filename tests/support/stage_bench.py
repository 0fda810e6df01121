"""What the judging stages are given in tests: a recipe, examples, artifacts in a real store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example, content_id, write_examples
from engine.environment import Device
from engine.lock.previous import Previous
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.store import Artifact, Store, make_key
from engine.store.store import Build
from engine.values import replace
from support.project import BASE, rows

CPU = Device(kind="cpu", name="test", memory_bytes=0, cores=2, bf16=False)


class Quiet:
    """A progress that nobody watches."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""


def examples(count: int, *, seed: int = 1) -> list[Example]:
    return [
        Example(id=content_id(text, label), origin=f"rows.csv:{line}", input=text, target=label)
        for line, (text, label) in enumerate(rows(count, seed), start=2)
    ]


@dataclass(slots=True, kw_only=True)
class Bench:
    """Runs single stages against a store, as the pipeline would."""

    folder: Path
    recipe: Recipe
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    references: dict[str, Payload] = field(default_factory=dict)
    previous: Previous | None = None
    """The last accepted model, for the gate."""
    built: list[str] = field(default_factory=list)
    """Inner products that were really built, in order, by their payload's `baseline` or `set`."""

    @property
    def store(self) -> Store:
        return Store(self.folder / "store")

    def put(self, name: str, files: Mapping[str, Any]) -> Artifact:
        """Make an artifact of files: lists of examples as JSON lines, everything else as JSON."""

        def build(folder: Path) -> None:
            for file, content in files.items():
                if isinstance(content, list) and all(isinstance(x, Example) for x in content):
                    write_examples(folder / file, content)
                else:
                    (folder / file).write_text(json.dumps(content), encoding="utf-8")

        key = make_key({"test": name, "files": sorted(files)})
        self.artifacts[name] = self.store.put(name, key, build, anew=True)
        return self.artifacts[name]

    def run(self, stage: ModuleType) -> Artifact:
        """Run a stage and keep its artifact."""
        name = stage.__name__.rpartition(".")[2]
        needs = {need: self.artifacts[need] for need in stage.NEEDS}
        payload = {
            "stage": name,
            "recipe": stage.recipe_slice(self.recipe),
            "needs": {need: artifact.key for need, artifact in needs.items()},
            "previous": self.previous.identity() if self.previous else None,
        }
        key = make_key(payload)

        def build(workdir: Path) -> None:
            stage.run(self._context(needs, key.digest, workdir))

        self.artifacts[name] = self.store.put(name, key, build)
        return self.artifacts[name]

    def accept(self, **changes: Any) -> None:
        """Change what must hold."""
        self.recipe = replace(self.recipe, acceptance=replace(self.recipe.acceptance, **changes))

    def _context(self, needs: Mapping[str, Artifact], key: str, workdir: Path) -> StageContext:
        return StageContext(
            recipe=self.recipe,
            device=CPU,
            artifacts=needs,
            key=key,
            inputs={name: artifact.key for name, artifact in needs.items()},
            base_model={"test": "pico"},
            workdir=workdir,
            scratch=self.store.scratch(key),
            progress=Quiet(),
            cached=self._cached,
            previous=self.previous,
            scratch_for=self.store.scratch_for,
            references=self.references,
        )

    def _cached(self, name: str, payload: Payload, build: Build) -> Artifact:
        def counted(folder: Path) -> None:
            self.built.append(str(payload.get("baseline") or payload.get("set") or name))
            build(folder)

        return self.store.cached(name, payload, counted)


def make_bench(folder: Path, **changes: Any) -> Bench:
    """Make a bench in `folder` with 60 training, 20 validation and 40 holdout rows."""
    (folder / "rows.csv").write_text("text,label\n", encoding="utf-8")
    (folder / "base").mkdir(exist_ok=True)
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump({**BASE, **changes}, sort_keys=False), encoding="utf-8")
    recipe, _ = load_recipe(file)
    bench = Bench(folder=folder, recipe=recipe)
    found = examples(120)
    bench.put("data", {"train.jsonl": found[:60], "validation.jsonl": found[60:80]})
    bench.put("holdout", {"holdout.jsonl": found[80:]})
    return bench
