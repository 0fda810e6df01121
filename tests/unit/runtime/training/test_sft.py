"""The arguments of TRL's trainers, of every class: the device is stated, whatever the precision."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch.distributed.fsdp import fully_shard
from transformers import TrainingArguments

from engine.runtime.training.preferences import TRAINERS
from engine.runtime.training.sft import Folders, SftArguments, arguments, train_on

KINDS = {"sft": SftArguments, **{loss: kind for loss, (_, kind) in TRAINERS.items()}}


@pytest.mark.parametrize("name", KINDS)
def test_bf16_on_a_cpu_is_asked_of_the_cpu(name: str, tmp_path: Path) -> None:
    (tmp_path / "validation.jsonl").touch()
    folders = Folders(rows=tmp_path, base_model=tmp_path, output=tmp_path, resume=None)

    made: Any = arguments({"precision": "bf16"}, folders, KINDS[name], device="cpu")

    assert (made.use_cpu, made.bf16, made.dataloader_pin_memory) == (True, True, False)
    assert made.n_gpu <= 1


@pytest.mark.parametrize("name", KINDS)
def test_a_second_gpu_in_sight_changes_no_batch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself transformers takes all GPUs: batches double, steps halve."""
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda _: 2))
    (tmp_path / "validation.jsonl").touch()
    folders = Folders(rows=tmp_path, base_model=tmp_path, output=tmp_path, resume=None)
    config = {"precision": "fp32", "per_device_train_batch_size": 4}

    made: Any = arguments(config, folders, KINDS[name], device="cpu")

    assert (made.n_gpu, made.train_batch_size) == (1, 4)


@pytest.mark.parametrize("shard", [{}, {"fsdp": True}], ids=["one", "shard"])
def test_an_adapter_on_4_bit_weights_is_trained_in_32_bits(shard: dict[str, Any]) -> None:
    trainer = MagicMock()
    trainer.model = adapted(torch.bfloat16)

    train_on(trainer, {"adapter_precision": "fp32", **shard}, resume=None, report=lambda _: None)

    assert [one.dtype for one in trainer.model.parameters()] == [torch.bfloat16, torch.float32]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one process."""
    at = f"file://{tmp_path / 'group'}"
    torch.distributed.init_process_group("gloo", init_method=at, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_weights_that_are_divided_need_one_type_where_they_are_trained_only() -> None:
    model = adapted(torch.float32)
    fully_shard(model)

    model(torch.ones(1, 4, dtype=torch.bfloat16)).sum().backward()

    assert [one.dtype for one in model.parameters()] == [torch.bfloat16, torch.float32]


def adapted(dtype: torch.dtype) -> Any:
    """A frozen matrix of 16 bits and a trained one."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 4, False), torch.nn.Linear(4, 4, False))
    model.to(torch.bfloat16).requires_grad_(requires_grad=False)
    model[1].to(dtype).requires_grad_()
    model[1].register_forward_pre_hook(lambda one, given: given[0].to(one.weight.dtype))
    return model
