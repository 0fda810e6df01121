"""A batch whose labels are not those of its rows is reported, once; one of them is not."""

from __future__ import annotations

from typing import Any

import torch

from engine.runtime.training.rows_seen import FedBatches

ROW = {"input_ids": [1, 2, 3, 4], "labels": [-100, -100, 3, 4]}
OTHER = {"input_ids": [1, 2, 5], "labels": [-100, -100, 5]}


def reported(*rows: Any, **given: torch.Tensor) -> list[Any]:
    """What is reported of one batch of rows that the model is given so."""
    found = list[Any]()
    look = FedBatches(1, found.append, 0)
    look.collated(rows)
    model = torch.nn.Linear(1, 1)
    look.passes(model, (), given)
    look.passes(model, (), given)
    return found


def test_padded_rows_are_those_of_their_batch() -> None:
    labels = torch.tensor([[-100, -100, 3, 4], [-100, -100, 5, -100]])

    assert reported(ROW, OTHER, labels=labels) == []


def test_so_are_learned_tokens_one_row_after_another() -> None:
    assert reported(ROW, OTHER, shift_labels=torch.tensor([[3, 4, 5]])) == []


def test_others_are_reported_once() -> None:
    labels = torch.tensor([[-100, -100, -100, 3], [-100, -100, 5, -100]])

    assert reported(ROW, OTHER, labels=labels) == [{"event": "fed", "step": 1}]


def test_rows_of_another_form_are_not_looked_at() -> None:
    assert reported({"prompt_ids": [1]}, labels=torch.tensor([[1, 2]])) == []
