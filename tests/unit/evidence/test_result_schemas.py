"""The schemas of what a run leaves describe what the code writes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine import evidence
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
