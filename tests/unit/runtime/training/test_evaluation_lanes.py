from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from engine.runtime.models.load import Lanes
from engine.runtime.training import batches as shared_prefix
from engine.runtime.training.batches import evaluate_in_lanes, evaluate_plainly

ROWS = [
    {
        "input_ids": torch.tensor([1, 2, number, number % 3]),
        "labels": torch.tensor([-100, -100, number, number % 3]),
    }
    for number in range(4, 14)
]
"""Ten: with batches of four the last one is shorter, and counts for less."""


class Counted(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Counts batches."""

    batches = 0

    def on_prediction_step(self, *_: Any, **__: Any) -> None:
        self.batches += 1


@pytest.fixture
def threads() -> Iterator[None]:
    """Two, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def trainer(folder: Path, **given: Any) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    args = TrainingArguments(
        output_dir=str(folder), per_device_eval_batch_size=4, report_to=[], use_cpu=True
    )
    return Trainer(model=LlamaForCausalLM(config), args=args, eval_dataset=ROWS, **given)


@pytest.mark.usefixtures("threads")
def test_the_loss_is_that_of_the_trainers_own_loop(tmp_path: Path) -> None:
    counted = Counted()
    made = trainer(tmp_path, callbacks=[counted])
    plain = made.evaluate()
    made.model.train()

    looks: list[str] = []
    made.optimizer = SimpleNamespace(eval=lambda: looks.append("eval"))
    evaluate_in_lanes(made)
    beside = made.evaluate()

    assert "evaluation_loop" in vars(made)
    assert beside["eval_loss"] == pytest.approx(plain["eval_loss"], rel=1e-6)
    assert counted.batches == 2 * 3
    assert looks == ["eval"]
    assert not made.model.training
    assert torch.get_num_threads() == 2
    evaluate_plainly(made)
    assert "evaluation_loop" not in vars(made)


@pytest.mark.parametrize(("batches", "together"), [(1, [1, 1, 1]), (2, [2, 1]), (9, [2, 1])])
@pytest.mark.usefixtures("threads")
def test_batches_with_many_logits_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int, together: list[int]
) -> None:
    made = trainer(tmp_path)
    asked: list[int] = []
    run = Lanes.run
    monkeypatch.setattr(
        Lanes, "run", lambda self, calls: asked.append(len(calls)) or run(self, calls)
    )
    monkeypatch.setattr(shared_prefix, "LOGITS", batches * 4 * 4 * made.model.config.vocab_size)
    plain = made.evaluate()["eval_loss"]

    evaluate_in_lanes(made)

    assert made.evaluate()["eval_loss"] == pytest.approx(plain, rel=1e-6)
    assert asked == together


@pytest.mark.usefixtures("threads")
def test_a_loss_of_its_own_sees_one_batch_after_another(tmp_path: Path) -> None:
    own = trainer(tmp_path)
    own.compute_loss = own.compute_loss

    evaluate_in_lanes(own)
    measured = trainer(tmp_path, compute_metrics=lambda _: {})
    evaluate_in_lanes(measured)

    assert "evaluation_loop" not in vars(own)
    assert "evaluation_loop" not in vars(measured)


def test_one_core_has_nothing_beside_it(tmp_path: Path, threads: None) -> None:
    torch.set_num_threads(1)
    made = trainer(tmp_path)

    evaluate_in_lanes(made)

    assert "evaluation_loop" not in vars(made)
