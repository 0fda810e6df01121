"""Faults that ruin fine-tunes in practice, each seeded from outside in several ways, and where a run says so.

What pitfalls are known of other tools is numbered F1 to F44; F45 is a date in the prompt. `docs/generate.py`
writes docs/reference/faults.md of this table, `tests/functional/faults/test_seeded.py` runs it.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.pico import CHAT_TEMPLATE
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


def template(text: str) -> Prepare:
    """Give the base model another chat template."""

    def prepare(project: Project, _: Patch) -> None:
        (base_of(project) / "chat_template.jinja").write_text(text, encoding="utf-8")

    return prepare


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


# The trainer.


def labels(change: Callable[[list[int], list[int]], list[int]]) -> Prepare:
    """Have the trainer read other labels; `change` is given tokens and labels of a row."""

    def prepare(_: Project, patch: Patch) -> None:
        from datasets import Dataset

        from engine.runtime.training import sft

        real = sft.tokenised

        def tokenised(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            if found is None:
                return None
            changed = [
                {**row, "labels": change(list(row["input_ids"]), list(row["labels"]))}
                for row in found
            ]
            return Dataset.from_list(changed)

        patch.setattr(sft, "tokenised", tokenised)

    return prepare


def learned(found: list[int]) -> list[int]:
    """Places that are learned."""
    return [place for place, label in enumerate(found) if label != -100]


def masked(*which: int) -> Callable[[list[int], list[int]], list[int]]:
    """Take learned tokens out, by their number among those of a row."""

    def change(_: list[int], found: list[int]) -> list[int]:
        places = {learned(found)[one] for one in which}
        return [-100 if place in places else label for place, label in enumerate(found)]

    return change


def shifted(ids: list[int], found: list[int]) -> list[int]:
    """Learn the prompt's last tokens in the place of the answer."""
    places = {place - len(learned(found)) for place in learned(found)}
    return [ids[place] if place in places else -100 for place in range(len(ids))]


def off_by_one(ids: list[int], found: list[int]) -> list[int]:
    """Learn each token one place too late."""
    return [-100, *found[:-1]]


def loss(change: Callable[[Any], Any]) -> Prepare:
    """Have the trainer compute another loss."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import sft

        real = sft.LeanTrainer.compute_loss

        def compute_loss(self: Any, model: Any, inputs: Any, **options: Any) -> Any:
            found = real(self, model, inputs, **options)
            return change(found) if model.training and not isinstance(found, tuple) else found

        patch.setattr(sft.LeanTrainer, "compute_loss", compute_loss)

    return prepare


def batches(change: Callable[[dict[str, Any]], object]) -> Prepare:
    """Have what makes batches make others."""

    def prepare(_: Project, patch: Patch) -> None:
        from engine.runtime.training import shared_prefix as module

        real = module.shared_batch

        def shared_batch(given: Any) -> Any:
            batch = real(given)
            change(batch)
            return batch

        patch.setattr(module, "shared_batch", shared_batch)

    return prepare


def second_passes(name: str) -> Prepare:
    """Have the optimizer of the first step stand still, or take another step."""

    def prepare(_: Project, patch: Patch) -> None:
        import torch

        real = torch.optim.AdamW.step

        def step(self: Any, *given: Any, **named: Any) -> Any:
            found = real(self, *given, **named)
            if name == "twice":
                return real(self, *given, **named)
            for state in self.state.values():
                state["step"].zero_()
            return found

        patch.setattr(torch.optim.AdamW, "step", step)

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


def merged_bytes(change: Callable[[dict[str, Any]], object]) -> Prepare:
    """Damage the merged weights before they are looked at."""

    def prepare(_: Project, patch: Patch) -> None:
        from safetensors.torch import load_file, save_file

        from engine.runtime.models import merge

        real = merge._check_complete

        def check(adapter: Path, done: Any) -> None:
            real(adapter, done)
            for file in sorted(adapter.parents[3].glob("**/tmp/**/model/model.safetensors")):
                tensors = load_file(file)
                change(tensors)
                save_file(tensors, file, metadata={"format": "pt"})

        patch.setattr(merge, "_check_complete", check)

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


GGUF = {"formats": ["gguf"], "quantization": "Q8_0"}
ENDLESS = both(
    template(CHAT_TEMPLATE.replace("'<|im_end|>' + ", "")),
    settings("tokenizer_config.json", lambda found: found.update(eos_token=None)),
)
THINKS = (
    CHAT_TEMPLATE.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'")
    + "{# </think> #}"
)
BEGINS = CHAT_TEMPLATE.replace(
    "'\n' + message['content']",
    "'\n' + ('Answer: ' if message['role'] == 'assistant' else '') + message['content']",
)


def in_first_step(prepare: Prepare, code: str) -> Seed:
    """Return a seed of the trainer that is seen before a second step."""
    return Seed(prepare=prepare, code=code, where=FIRST, until="train")


def in_merge(prepare: Prepare, code: str) -> Seed:
    """Return a seed of the merge of an accepted run."""
    return Seed(prepare=prepare, code=code, where=AFTER, until="merge", again="merge")


def noted(prepare: Prepare, code: str, until: str = "compile") -> Seed:
    """Return a seed that is counted and shown."""
    return Seed(prepare=prepare, code=code, until=until, is_note=True)


LONG = " and on and on it went" * 12

FAULTS: Mapping[str, Fault] = {
    "F1": Fault(
        name="the end of a turn is never learned",
        seeds={
            "template and tokenizer without an end": Seed(prepare=ENDLESS, code="D391"),
            "last learned token masked": in_first_step(labels(masked(-1)), "B424"),
        },
    ),
    "F2": Fault(
        name="the mask is on other tokens than the answers",
        seeds={
            "labels on the end of the prompt": in_first_step(labels(shifted), "B424"),
            "all tokens learned": in_first_step(labels(lambda ids, _: ids), "B424"),
        },
    ),
    "F4": Fault(
        name="the first token of an answer is masked, or labels are off by one",
        seeds={
            "first learned token masked": in_first_step(labels(masked(0)), "B424"),
            "labels one place too late": in_first_step(labels(off_by_one), "B424"),
        },
    ),
    "F5": Fault(
        name="nothing is learned: all labels are ignored",
        seeds={
            "in every row": in_first_step(labels(lambda ids, _: [-100] * len(ids)), "B424"),
            "in rows of an even length": in_first_step(
                labels(lambda ids, found: found if len(ids) % 2 else [-100] * len(ids)), "B424"
            ),
        },
        missed="rows of which no one is in the first batch",
    ),
    "F7": Fault(
        name="rows are cut or left out for their length",
        seeds={
            "refused": Seed(
                prepare=rows(lambda found: found[0].__setitem__(0, LONG * 3)), code="D390"
            ),
            "left out": noted(
                both(
                    rows(lambda found: [one.__setitem__(0, one[0] + LONG) for one in found[::3]]),
                    recipe(data__checks__truncation="drop"),
                ),
                "D410",
            ),
            "cut": noted(
                both(
                    rows(lambda found: [one.__setitem__(0, one[0] + LONG) for one in found[::3]]),
                    recipe(data__checks__truncation="warn"),
                ),
                "D411",
            ),
        },
    ),
    "F8": Fault(
        name="the loss of accumulated batches is scaled wrongly",
        seeds={
            "twice as large": in_first_step(loss(lambda found: found * 2), "B425"),
            "by the number of small batches": in_first_step(
                both(recipe(method__micro_batch_size=2), loss(lambda found: found / 4)), "B425"
            ),
        },
        missed="gradients that are scaled behind the loss",
    ),
    "F9": Fault(
        name="rows of one batch see each other",
        seeds={
            "positions of a shared start": noted(
                batches(lambda batch: batch["position_ids"].zero_()), "batches are plain", "train"
            ),
            "logits of other places": noted(
                batches(lambda batch: batch["logits_to_keep"].sub_(1)), "batches are plain", "train"
            ),
        },
    ),
    "F10": Fault(
        name="the loss is next to nothing from the start",
        seeds={
            "zero": in_first_step(loss(lambda found: found * 0), "B425"),
            "a thousandth": in_first_step(loss(lambda found: found / 1000), "B425"),
        },
    ),
    "F11": Fault(
        name="numbers that are none",
        seeds={
            "NaN in the base model": Seed(prepare=fill(DOWN, float("nan"), (0, 0)), code="X770"),
            "infinity in a row of the embedding": Seed(
                prepare=fill(EMBEDDING, float("inf"), (319, 0)), code="X770"
            ),
            "NaN as a loss": in_first_step(loss(lambda found: found * float("nan")), "B4"),
        },
    ),
    "F15": Fault(
        name="the merged model is not base plus adapter",
        seeds={
            "nine tenths": in_merge(delta(lambda found: found * 0.9), "X673"),
            "rounded to 4 bits": in_merge(delta(to_four_bits), "X673"),
        },
    ),
    "F18": Fault(
        name="the merge leaves the adapter out",
        seeds={
            "all of it": in_merge(delta(lambda found: found * 0), "X624"),
            "one layer": in_merge(pairs_left_out(".layers.1."), "X624"),
            "one module": in_merge(pairs_left_out("down_proj"), "X624"),
        },
    ),
    "F19": Fault(
        name="input and output share a matrix",
        seeds={
            "an adapter on the head": Seed(
                prepare=recipe(method__target_modules=["lm_head", "q_proj"]), code="R352"
            ),
            "an adapter on the embedding": Seed(
                prepare=recipe(method__target_modules=["embed_tokens"]), code="R352"
            ),
            "a head of its own in the file": Seed(prepare=weights(head_of_its_own), code="X774"),
        },
    ),
    "F20": Fault(
        name="tokens and rows of the embedding do not match",
        seeds={
            "one token more": Seed(prepare=add_tokens(1), code="X693"),
            "ten tokens more": Seed(prepare=add_tokens(10), code="X693"),
            "an embedding cut short": Seed(
                prepare=weights(
                    lambda found: found.__setitem__(EMBEDDING, found[EMBEDDING][:300].clone())
                ),
                code="X692",
            ),
        },
        missed="another tokenizer of the same size",
    ),
    "F22": Fault(
        name="weights and configuration are of different models",
        seeds={
            "a missing tensor": Seed(prepare=without(DOWN), code="X692"),
            "a missing head": Seed(
                prepare=settings(
                    "config.json", lambda found: found.update(tie_word_embeddings=False)
                ),
                code="X692",
            ),
            "a layer too many": Seed(prepare=weights(more_layers), code="X773"),
            "a wider configuration": Seed(
                prepare=settings("config.json", lambda found: found.update(intermediate_size=256)),
                code="X692",
            ),
        },
        missed="layers in another order",
    ),
    "F23": Fault(
        name="users ask otherwise than training does",
        seeds={
            "a prompt that begins to think": Seed(prepare=template(THINKS), code="X671"),
            "words before an answer that a prompt leaves out": Seed(
                prepare=template(BEGINS), code="X671"
            ),
        },
    ),
    "F27": Fault(
        name="the converter does not know the tokenizer",
        seeds={
            "text split at white space": Seed(
                prepare=both(
                    recipe(export=GGUF),
                    settings(
                        "tokenizer.json",
                        lambda found: found.update(pre_tokenizer={"type": "Whitespace"}),
                    ),
                ),
                code="X772",
            ),
            "text brought to another form first": Seed(
                prepare=both(
                    recipe(export=GGUF),
                    settings(
                        "tokenizer.json", lambda found: found.update(normalizer={"type": "NFKC"})
                    ),
                ),
                code="X772",
            ),
        },
    ),
    "F31": Fault(
        name="optimizer and trainer count other steps",
        seeds={
            "two steps for one": in_first_step(second_passes("twice"), "B427"),
            "an optimizer that begins again": in_first_step(second_passes("zeroed"), "B427"),
        },
        missed="rows that a training goes on with in another order",
    ),
    "F33": Fault(
        name="a weight file is cut short",
        seeds={
            "half of it": Seed(
                prepare=lambda project, _: cut(base_of(project) / "model.safetensors", 0.5),
                code="X607",
            ),
            "its last byte": Seed(
                prepare=lambda project, _: cut(base_of(project) / "model.safetensors", -1),
                code="X607",
            ),
        },
    ),
    "F42": Fault(
        name="an adapter on what is dead",
        seeds={
            "a matrix of zeros": Seed(prepare=fill(DOWN, 0.0), code="X771"),
            "a quarter of its rows": Seed(prepare=fill(DOWN, 0.0, slice(0, 16)), code="X771"),
            "half of its columns": Seed(
                prepare=fill(DOWN, 0.0, (slice(None), slice(0, 64))), code="X771"
            ),
            "a norm that lets nothing through": in_first_step(fill(NORM, 0.0), "B426"),
        },
    ),
    "F45": Fault(
        name="the prompt holds what changes from day to day",
        seeds={
            "a random word": Seed(
                prepare=template("{{ ['a', 'b'] | random }}" + CHAT_TEMPLATE), code="X670"
            ),
            "a date in a form that cannot be fixed": Seed(
                prepare=template("{% set now = strftime_now %}{{ now('%d') }}" + CHAT_TEMPLATE),
                code="X670",
            ),
        },
    ),
    "F46": Fault(
        name="a base model that cannot foresee text",
        seeds={
            "an embedding that is much too large": in_first_step(
                weights(lambda found: found[EMBEDDING].mul_(50)), "B428"
            ),
            "a last norm that is much too large": in_first_step(
                weights(lambda found: found["model.norm.weight"].mul_(50)), "B428"
            ),
        },
        missed="a model that only guesses: a blank one does, too",
    ),
}


def cut(file: Path, share: float) -> None:
    """Cut a file to a share of its bytes, or take bytes off its end."""
    found = file.read_bytes()
    file.write_bytes(found[: int(len(found) * share)] if share > 0 else found[: int(share)])
