"""What a trainer is about to do is read off what it has made."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import TrainingArguments, get_scheduler

from engine.runtime.training.in_force import (
    other_decay,
    other_optimizer,
    rate_difference,
    setting_arguments,
)

STEPS = 40


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    given = {
        "lr_scheduler_type": "cosine",
        "warmup_steps": 4,
        "learning_rate": 1e-3,
        "optim": "adamw_torch",
    }
    return TrainingArguments(output_dir=str(folder), use_cpu=True, **given, **changes)


def optimizer(kind: str = "AdamW", **changes: Any) -> Any:
    return getattr(torch.optim, kind)([torch.zeros(1, requires_grad=True)], lr=1e-3, **changes)


def scheduler(steps: int, name: str = "cosine") -> Any:
    return get_scheduler(name, optimizer(), num_warmup_steps=4, num_training_steps=steps)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (optimizer(weight_decay=0.0), ""),
        (SimpleNamespace(optimizer=optimizer(weight_decay=0.0)), ""),
        (optimizer("SGD"), "SGD"),
        (optimizer(betas=(0.5, 0.999)), "betas"),
        (optimizer(weight_decay=3.0), "weight_decay 3"),
    ],
    ids=["the same", "wrapped", "another", "other momenta", "decay"],
)
def test_an_optimizer_is_that_of_the_arguments(tmp_path: Path, made: Any, words: str) -> None:
    found = other_optimizer(arguments(tmp_path), made)

    assert words in found
    assert bool(found) is bool(words)


class Normed(torch.nn.Module):
    """A matrix with a bias, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = torch.nn.Linear(4, 4)
        self.input_layernorm = torch.nn.LayerNorm(4, bias=False)


@pytest.mark.parametrize(
    ("decayed", "words"),
    [
        (["proj.weight"], ""),
        (["proj.weight", "input_layernorm.weight"], "for `input_layernorm.weight`"),
        (["proj.weight", "proj.bias"], "for `proj.bias`"),
        ([], "no weight_decay for `proj.weight`"),
    ],
    ids=["matrices", "a norm", "a bias", "nothing"],
)
def test_weights_decay_but_for_norms_and_biases(
    decayed: list[str], words: str, tmp_path: Path
) -> None:
    model, args = Normed(), arguments(tmp_path, weight_decay=0.1)
    weights = dict(model.named_parameters())
    groups: Any = [
        {"params": [weights[name] for name in decayed], "weight_decay": 0.1},
        {"params": [one for name, one in weights.items() if name not in decayed]},
    ]
    made = torch.optim.AdamW([one for one in groups if one["params"]], lr=1e-3, weight_decay=0.0)

    found = other_decay(model, args, made)

    assert words in found
    assert bool(found) is bool(words)
    assert other_decay(model, arguments(tmp_path), made) == ""


def test_a_schedule_is_that_of_the_arguments(tmp_path: Path) -> None:
    args = arguments(tmp_path)
    state: Any = SimpleNamespace(max_steps=STEPS)

    assert rate_difference(args, state, scheduler(STEPS)) == 0.0
    assert rate_difference(args, state, scheduler(2 * STEPS)) > 0.1
    assert rate_difference(args, state, scheduler(STEPS, "linear")) > 0.1
    assert rate_difference(args, state, SimpleNamespace()) == 0.0


def test_settings_go_by_the_names_of_the_config(tmp_path: Path) -> None:
    found = setting_arguments(torch.nn.Linear(1, 1), arguments(tmp_path, seed=5))

    assert (found["lr_scheduler_type"], found["seed"]) == ("cosine", 5)
    assert "adamw" in found["optim"]
