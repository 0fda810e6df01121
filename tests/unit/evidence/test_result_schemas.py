"""The schemas of what a run leaves describe what the code writes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine import evidence
from engine.evidence import Check, Status
from engine.store import Store, make_key
from engine.values import fields


def schema(root: Path, name: str) -> dict[str, Any]:
    text = (root / "schemas" / f"{name}.v1.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_the_report_schema_has_every_field_of_the_report(root: Path) -> None:
    described = schema(root, "report")["properties"]

    assert set(described) == {field.name for field in fields(evidence.Report)}


def test_the_report_schema_has_every_field_of_every_part(root: Path) -> None:
    parts = schema(root, "report")["$defs"]

    for name, part in parts.items():
        names = [field.name for field in fields(getattr(evidence, name))]
        assert list(part["properties"]) == names
        assert part["required"] == names
        assert part["additionalProperties"] is False


def test_a_manifest_of_the_store_follows_its_schema(root: Path, tmp_path: Path) -> None:
    store = Store(tmp_path, versions={"python": "3.12"})
    key = make_key({"what": "a test"})

    def build(folder: Path) -> None:
        (folder / "one.txt").write_text("1", encoding="utf-8")

    store.put("data", key, build)
    manifest = json.loads((store.folder(key.digest) / "artifact.json").read_text(encoding="utf-8"))

    jsonschema.validate(manifest, schema(root, "artifact"), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", ["report", "artifact"])
def test_the_schemas_are_schemas(root: Path, name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(root, name))


# What a check is about is read from its name, in one place.
def check(name: str) -> Check:
    return Check(
        name=name,
        status=Status.PASS,
        got=1.0,
        direction="min",
        bound=0.5,
        decided_on="point",
        n=10,
    )


@pytest.mark.parametrize(
    ("name", "kind", "metric", "label"),
    [
        ("macro_f1", "threshold", "macro_f1", ""),
        ("f1.billing.late", "threshold", "f1.billing.late", "billing.late"),
        ("agreement", "threshold", "agreement", ""),
        ("over_baselines.f1.billing", "over_baselines", "f1.billing", "billing"),
        ("over_previous.macro_f1", "over_previous", "macro_f1", ""),
        ("drop.accuracy", "drop", "accuracy", ""),
        ("parity.merged", "parity", "", "merged"),
        ("largest_shift.Q4_K_M", "largest_shift", "", "Q4_K_M"),
        ("token_parity", "token_parity", "", ""),
        ("token_parity.ollama", "token_parity", "", "ollama"),
        ("overfitting", "overfitting", "", ""),
        ("onnx.macro_f1", "threshold", "macro_f1", ""),
        ("openvino.over_baselines.macro_f1", "over_baselines", "macro_f1", ""),
    ],
)
def test_a_check_has_a_kind_a_metric_and_a_label(
    name: str, kind: str, metric: str, label: str
) -> None:
    found = check(name)

    assert (found.kind, found.metric, found.label) == (kind, metric, label)
