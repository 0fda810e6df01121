"""A teacher asked for its probabilities of the tokens that are trained: each row once, whatever is trained by them.

Rows are asked in parts, each a product of its own by its tokens: other labelled rows, baselines or learning rates ask
nothing again. Within a part each pass through the teacher is written down when it is done, so that a killed run goes
on with the pass it was at, and ends with the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.artifacts.stage import StageContext
from engine.environment import version_of
from engine.store import Artifact

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel
    from engine.runtime.training.target_table import Targets

PRODUCT: Final = "teacher_targets"
REVISION: Final = 1
"""Bumped when the same teacher and rows would now give other targets."""
MOST: Final = 32
"""Tokens that are kept at each place: 192 bytes."""
PART: Final = 256
"""Rows of one product."""
STAGE: Final = "soft_targets"
"""Whose artifact holds the targets of all rows."""

Row = Mapping[str, list[int]]
"""`input_ids` and `labels`, as they are trained."""


@dataclass(slots=True)
class TeacherForTargets:
    """The teacher of one run, and how much it was asked."""

    context: StageContext
    load: Callable[[], LoadedModel]
    """Called when the first row is asked."""
    identity: Mapping[str, Any]
    """Of the model, as it stands in keys."""
    vocabulary: int
    """Tokens of the student's tokenizer: no other can be a target."""
    asked: int = 0
    """Rows that went through the model in this run; the others were asked before."""
    _loaded: list[LoadedModel] = field(default_factory=list)
    _done: int = 0
    """Rows of earlier parts."""
    _all: int = 0

    def targets(self, rows: Sequence[Row]) -> dict[bytes, Targets]:
        """Return the targets of rows by `row_key`, asking those that were never asked.

        Raises:
            StageError: X745 the teacher's numbers are not finite, and the errors of loading it.

        """
        from engine.runtime.training.target_table import row_key  # brings torch

        different = {row_key(row): row for row in rows}
        found: dict[bytes, Targets] = {}
        self._all = len(different)
        for part in batched(different.items(), PART, strict=False):
            self._done = len(found)
            found |= _read(self._product(dict(part)).path, dict(part)) or {}
        return found

    def _product(self, part: Mapping[bytes, Row]) -> Artifact:
        payload = {
            "revision": REVISION,
            "teacher": dict(self.identity),
            "rows": sha256(b"".join(part)).hexdigest(),
            "most": MOST,
            "vocabulary": self.vocabulary,
            "device": self.context.device.kind,
            "precision": self.context.precision,
            "versions": {tool: version_of(tool) for tool in ("torch", "transformers")},
        }

        def build(folder: Path) -> None:
            from engine.runtime.training.target_table import write_table  # brings torch

            found = self._ask(part, self.context.scratch_for(PRODUCT, payload))
            write_table(folder, [*part], [found[key] for key in part])

        return self.context.cached(PRODUCT, payload, build)

    def _ask(self, part: Mapping[bytes, Row], ledger: Path) -> dict[bytes, Targets]:
        """Put rows through the teacher; what a killed run has written into `ledger` is not asked again."""
        from engine.runtime.rendering.packing import IGNORED  # brings torch
        from engine.runtime.rendering.segments import TokenRow
        from engine.runtime.scoring.teacher_targets import packs, targets_of

        keys = [*part]
        rows = [
            TokenRow(
                ids=tuple(row["input_ids"]),
                learned=tuple(label != IGNORED for label in row["labels"]),
            )
            for row in part.values()
        ]
        found: dict[bytes, Targets] = {}
        for number, (members, pack) in enumerate(packs(self._teacher(), rows)):
            here = {keys[member]: part[keys[member]] for member in members}
            place = ledger / f"pass-{number}"
            known = _read(place, here)
            if known is None:
                asked = targets_of(self._teacher(), pack, most=MOST, vocabulary=self.vocabulary)
                known = dict(zip(here, asked, strict=True))
                _keep(place, known)
                self.asked += len(here)
            found |= known
            self.context.progress.update(self._done + len(found), self._all, "rows asked")
        return found

    def _teacher(self) -> LoadedModel:
        if not self._loaded:
            self._loaded.append(self.load())
        return self._loaded[0]


def _keep(place: Path, found: Mapping[bytes, Targets]) -> None:
    """Write a pass, whole or not at all."""
    from engine.runtime.training.target_table import write_table  # brings torch

    partial = place.with_name(f"{place.name}.part")
    for folder in (partial, place):
        shutil.rmtree(folder, ignore_errors=True)
    partial.mkdir(parents=True)
    write_table(partial, [*found], [*found.values()])
    partial.rename(place)


def _read(place: Path, rows: Mapping[bytes, Row]) -> dict[bytes, Targets] | None:
    """Return what a folder has of these rows; None where it is not there, cannot be read, or lacks one."""
    from safetensors import SafetensorError

    from engine.runtime.training.target_table import TargetTable  # brings torch

    try:
        table = TargetTable(place)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    found = {key: table.of([row]) for key, row in rows.items()}
    known = {key: targets for key, targets in found.items() if targets is not None}
    return known if len(known) == len(found) else None
