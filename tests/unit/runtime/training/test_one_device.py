"""Weights are put on one device as a whole: what does not fit is an error, and not computed elsewhere."""

from typing import Any

import pytest
import torch

from engine.runtime.training.parts import whole_on_gpu


@pytest.mark.parametrize(
    ("places", "has_gpu", "found"),
    [
        ("auto", True, {"": 0}),
        ("auto", False, "auto"),
        ({"": 3}, True, {"": 3}),
        (None, True, None),
    ],
)
def test_a_gpu_takes_all_of_a_model(
    monkeypatch: pytest.MonkeyPatch, places: Any, has_gpu: bool, found: Any
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)

    assert whole_on_gpu(places) == found
