"""Which sources a run that repeats a lock compares with it before their rows are read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.lock.input_check import InputCheck
from engine.progress import Progress
from engine.recipe.model import HubRef, PathRef

LOCAL, HUB = (
    PathRef(path=Path("rows.csv"), written="rows.csv"),
    HubRef(repo="owner/rows", revision="a" * 40),
)


def check(references: list[object], digests: list[dict[str, Any]]) -> InputCheck:
    """A check of sources whose digests in the lock are all `locked`."""
    sources = [SimpleNamespace(ref=reference) for reference in references]
    return InputCheck(
        recipe=cast("Any", SimpleNamespace(data=SimpleNamespace(sources=sources))),
        accepted=cast("Any", SimpleNamespace(sources=[{"sha256": "locked"} for _ in digests])),
        sources=tuple(digests),
        cached=cast("Any", None),
    )


@pytest.mark.parametrize(
    ("references", "digests", "compared"),
    [
        ([LOCAL], [{"sha256": "locked"}], False),
        ([LOCAL], [{"sha256": "other"}], True),
        ([HUB], [{"sha256": "other"}], False),
        ([LOCAL], [{"sha256": "other", "columns": {}}], False),
        (
            [LOCAL, HUB, LOCAL],
            [{"sha256": "locked", "columns": {}}, {"sha256": "locked"}, {"sha256": "other"}],
            True,
        ),
        (
            [LOCAL, HUB, LOCAL],
            [{"sha256": "locked", "columns": {}}, {"sha256": "other"}, {"sha256": "locked"}],
            False,
        ),
    ],
    ids=["same", "changed", "hub", "columns", "changed after columns", "hub after columns"],
)
def test_a_changed_local_file_is_looked_into(
    references: list[object],
    digests: list[dict[str, Any]],
    compared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[Progress] = []
    monkeypatch.setattr(InputCheck, "_name_the_row", lambda _, progress: looked.append(progress))

    check(references, digests)._sources(cast("Any", "progress"))

    assert bool(looked) is compared
