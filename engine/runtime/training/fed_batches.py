"""Whether the loss of each pass is that of the rows of its batch: libraries and callbacks stand between the two."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from engine.runtime.rendering.packing import IGNORED

AHEAD: Final = 3
"""Batches that are made before they are learned from, beside those of a step."""
Row = Mapping[str, Any]


class FedBatches:
    """Takes rows as batches are made of them, and looks at what the model is given in training."""

    def __init__(self, passes: int, report: Callable[[Mapping[str, Any]], None], step: int) -> None:
        """Look at a training of so many passes a step, behind `step` steps; `report` is called at most once."""
        self._made = deque[list[int]](maxlen=passes + AHEAD)
        self._report = report
        self._is_done = False
        self.step = step

    def collated(self, rows: Sequence[Row]) -> None:
        """Take the rows of a batch."""
        if not all("labels" in row and "input_ids" in row for row in rows):
            self._is_done = True
            return
        # Nothing stands before the first token, so it is learned by no one.
        self._made.append([one for row in rows for one in _learned(row)])

    def passes(self, model: torch.nn.Module, given: Any, named: Mapping[str, Any]) -> None:
        """Report labels that are those of none of the latest batches."""
        shifted, labels = named.get("shift_labels"), named.get("labels")
        learned = labels[:, 1:] if shifted is None and isinstance(labels, torch.Tensor) else shifted
        if self._is_done or not model.training or not self._made or learned is None:
            return
        if learned[learned != IGNORED].tolist() in self._made:
            return
        self._is_done = True
        self._report({"event": "fed", "step": self.step + 1})


def _learned(row: Row) -> list[int]:
    return [one for one in list(row["labels"])[1:] if one != IGNORED]
