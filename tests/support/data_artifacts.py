"""Data artifacts made by hand, for tests of the lock: which rows stand in which split."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from engine.data.examples.example import content_key
from engine.data.membership import RecordedName, membership_to_json, record
from engine.evidence import DataSummary, Firewall, SplitSummary
from engine.store import Artifact, Store, make_key
from engine.values import to_json

Splits = Mapping[str, Sequence[str]]
"""Texts by split; those in no split as `none`."""

PROOF = Firewall(
    method="5-character shingles, Jaccard similarity",
    similarity=0.8,
    compared=3,
    found_exact=0,
    found_near=1,
    removed=1,
    left_exact=0,
    left_near=0,
)


def digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


def members(splits: Splits) -> dict[str, str]:
    keys = {cast("RecordedName", name): map(content_key, splits[name]) for name in splits}
    return membership_to_json(record(keys))


def data_artifact(store: Store, splits: Splits, **payload: Any) -> Artifact:
    """The artifact of a data stage with these splits and that key payload."""
    summary = DataSummary(
        rows_read=10,
        rows_used=10,
        dropped={},
        splits=tuple(
            SplitSummary(
                name=name, rows=len(texts), labels={}, digest=digest(texts), seen=len(texts)
            )
            for name, texts in splits.items()
            if name != "none"
        ),
        findings=(),
        overlap_exact=0,
        overlap_near=0,
        firewall=PROOF,
    )

    def build(folder: Path) -> None:
        files = {"summary.json": to_json(summary), "membership.json": members(splits)}
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content), encoding="utf-8")

    return store.put("data", make_key({"stage": "data", "recorded": None, **payload}), build)
