"""Ways to bring a fault about in a small project: in its base model, rows, trainer, merge. `fault_table` lists them."""

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.project import Project

Patch = pytest.MonkeyPatch
Prepare = Callable[[Project, Patch], object]

BEFORE = "before the first step"
FIRST = "in the first step"
TRAINING = "in training"
AFTER = "after training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One way to bring a fault about."""

    prepare: Prepare
    code: str
    """What the run names it by."""
    where: str = BEFORE
    until: str = "baseline"
    """The stage after which the run ends where nothing stops it."""
    is_note: bool = False
    """The run goes on: what happened is counted and shown."""
    again: str = ""
    """The stage of an accepted run that is done again with the fault; "" begins with an empty store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault."""

    name: str
    seeds: Mapping[str, Seed]
    """By what is done."""
    missed: str = ""
    """What of it nothing notices."""


# The base model.


def base_of(project: Project) -> Path:
    """The folder of the project's base model, made its own."""
    base = project.folder / "base"
    if base.is_symlink():
        origin = base.resolve()
        base.unlink()
        shutil.copytree(origin, base)
    return base


def weights(change: Callable[[dict[str, Any]], object]) -> Prepare:
    """Change the tensors of the base model."""

    def prepare(project: Project, _: Patch) -> None:
        from safetensors.torch import load_file, save_file

        file = base_of(project) / "model.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file, metadata={"format": "pt"})

    return prepare


def settings(name: str, change: Callable[[dict[str, Any]], object]) -> Prepare:
    """Change a JSON file of the base model."""

    def prepare(project: Project, _: Patch) -> None:
        file = base_of(project) / name
        found = json.loads(file.read_text(encoding="utf-8"))
        change(found)
        file.write_text(json.dumps(found), encoding="utf-8")

    return prepare


def write(name: str, text: str) -> Prepare:
    """Put a file into the base model's folder."""
    return lambda project, _: (base_of(project) / name).write_text(text, encoding="utf-8")


def template(text: str) -> Prepare:
    """Give the base model another chat template."""
    return write("chat_template.jinja", text)


def recipe(**changes: Any) -> Prepare:
    """Change the recipe."""
    return lambda project, _: project.edit(**changes)


def both(*parts: Prepare) -> Prepare:
    """Do several things."""

    def prepare(project: Project, patch: Patch) -> None:
        for part in parts:
            part(project, patch)

    return prepare


def rows(change: Callable[[list[list[str]]], object]) -> Prepare:
    """Change the rows of the data."""

    def prepare(project: Project, _: Patch) -> None:
        file = project.folder / "rows.csv"
        with file.open(encoding="utf-8", newline="") as stream:
            head, *found = csv.reader(stream)
        change(found)
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([head, *found])

    return prepare


# Merge and export.


def delta(change: Callable[[Any], Any]) -> Prepare:
    """Have the merge add another change."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.models import merge

        whole = merge._Pair.delta
        patch.setattr(merge._Pair, "delta", lambda pair: change(whole(pair)))

    return prepare


def to_four_bits(found: Any) -> Any:
    """Round to sixteen values."""
    step = found.abs().max() / 7
    return (found / step).round() * step


def pairs_left_out(part: str) -> Prepare:
    """Have the merge read no pairs of some modules."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.models import merge

        real = merge._read_pairs

        def read(adapter: Path) -> Any:
            return {name: pair for name, pair in real(adapter).items() if part not in name}

        patch.setattr(merge, "_read_pairs", read)

    return prepare


DOWN = "model.layers.1.mlp.down_proj.weight"
NORM = "model.layers.0.input_layernorm.weight"
EMBEDDING = "model.embed_tokens.weight"


def fill(name: str, value: float, part: Any = ...) -> Prepare:
    """Put one number into a tensor of the base model."""
    return weights(lambda found: found[name][part].fill_(value))


def without(name: str) -> Prepare:
    """Take a tensor out of the base model."""
    return weights(lambda found: found.pop(name))


def more_layers(found: dict[str, Any]) -> None:
    """Give the weights a third layer."""
    third = {name: one.clone() for name, one in found.items() if ".layers.1." in name}
    found.update({name.replace(".1.", ".2."): one for name, one in third.items()})


def head_of_its_own(found: dict[str, Any]) -> None:
    """Give the weights a head that is not the embedding."""
    found["lm_head.weight"] = found[EMBEDDING].flip(0).clone()


def add_tokens(count: int) -> Prepare:
    """Give the tokenizer tokens that the embedding has no rows for."""

    def change(found: dict[str, Any]) -> None:
        first = 320
        found["added_tokens"] += [
            {"id": first + n, "content": f"<|new{n}|>", "special": True, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False}
            for n in range(count)
        ]  # fmt: skip

    return settings("tokenizer.json", change)


def cut(file: Path, share: float) -> None:
    """Cut a file to a share of its bytes, or take bytes off its end."""
    found = file.read_bytes()
    file.write_bytes(found[: int(len(found) * share)] if share > 0 else found[: int(share)])


def another_byte(project: Project, patch: Patch) -> None:
    """Change one bit of the base model while it is merged."""
    from engine.runtime.models import merge

    file = base_of(project) / "model.safetensors"
    real = merge.copy_beside

    def copy_beside(*given: Any) -> None:
        real(*given)
        found = bytearray(file.read_bytes())
        found[-2] ^= 1
        file.write_bytes(found)

    patch.setattr(merge, "copy_beside", copy_beside)


def misread(every: int) -> Prepare:
    """Have llama.cpp read one of so many texts of the corpus as another token more."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.llama import client

        ask = client.ask_gguf

        def ask_gguf(*given: Any, **named: Any) -> Any:
            found = ask(*given, **named)
            for ids in found.read[::-every]:
                ids.append(0)
            return found

        patch.setattr(client, "ask_gguf", ask_gguf)

    return prepare


def rolled_answers(rows_on: int) -> Prepare:
    """Have the SVM of a baseline answer so many rows too late."""

    def prepare(_: Project, patch: Patch) -> None:
        import numpy as np
        from sklearn.svm import LinearSVC

        predict = LinearSVC.predict
        patch.setattr(
            LinearSVC, "predict", lambda model, found: np.roll(predict(model, found), rows_on)
        )

    return prepare


def index_of(name: str) -> Prepare:
    """Give the base model an index of its weights that names a file."""

    def prepare(project: Project, _: Patch) -> None:
        text = json.dumps({"weight_map": {DOWN: name}})
        (base_of(project) / "model.safetensors.index.json").write_text(text, encoding="utf-8")

    return prepare
