"""What a lock proves: the same for what asks for the same, another for anything that can change the model."""

from pathlib import Path
from typing import Any

import pytest

from engine.recipe import load_recipe
from engine.recipe.text.dump import (
    changed_sections,
    dump_resolved,
    recipe_digest,
    resolved_mapping,
    section_digests,
)
from engine.recipe.text.source import parse_source


@pytest.fixture
def resolved(root: Path) -> dict[str, Any]:
    return resolved_mapping(load_recipe(root / "recipes" / "quickstart.yaml")[0])


def edited(resolved: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    first, *rest = path.split(".")
    if not rest:
        return {**resolved, first: value}
    inner: Any = resolved[first]
    if isinstance(inner, list):
        return {**resolved, first: [edited(item, ".".join(rest), value) for item in inner]}
    return {**resolved, first: edited(inner, ".".join(rest), value)}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "other"),
        ("description", "Other words."),
        ("allow_moving", True),
        ("method.seed", 8),
        ("method.seeds", [8, 9]),
        ("base_model.sha256", "0" * 64),
        ("data.sources.sha256", "0" * 64),
    ],
)
def test_texts_seeds_and_pins_change_nothing(
    resolved: dict[str, Any], path: str, value: Any
) -> None:
    assert recipe_digest(edited(resolved, path, value)) == recipe_digest(resolved)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("task.instruction", "Which?"),
        ("base_model.file", "other.gguf"),
        ("data.sources.file", "other.tsv"),
        ("splits.seed", 8),
        ("method.rank", 2),
        ("method.learning_rate", 1e-5),
        ("acceptance.metrics", {"macro_f1": {"min": 0.1}}),
        ("export.quantization", "Q8_0"),
        ("backend.precision", "fp32"),
    ],
)
def test_everything_else_is_another_recipe_and_its_section_is_named(
    resolved: dict[str, Any], path: str, value: Any
) -> None:
    other = edited(resolved, path, value)
    changed = changed_sections(section_digests(resolved), section_digests(other))

    assert recipe_digest(other) != recipe_digest(resolved)
    assert changed == (path.partition(".")[0],)


def test_the_resolved_file_beside_a_result_has_the_digest_of_the_recipe(
    root: Path, resolved: dict[str, Any]
) -> None:
    recipe = load_recipe(root / "recipes" / "quickstart.yaml")[0]
    text = dump_resolved(recipe).encode()

    assert recipe_digest(parse_source(text, Path("r.yaml")).value) == recipe_digest(resolved)


@pytest.mark.parametrize(
    ("written", "key"),
    [("parity: {agreement: {min: 0.5}}", "parity"), ("calibrate: true", "calibrate")],
)
def test_what_holds_without_a_quantized_file_is_resolved_and_counts(
    written: str, key: str, root: Path, tmp_path: Path
) -> None:
    text = (root / "recipes" / "quickstart.yaml").read_text(encoding="utf-8")
    head, _, _ = text.partition("\nexport:")
    found = []
    for number, more in enumerate(("", f", {written}")):
        place = tmp_path / f"{number}.yaml"
        place.write_text(f"{head}\nexport: {{formats: [safetensors]{more}}}\n", encoding="utf-8")
        found.append(load_recipe(place)[0])
    usual, own = map(resolved_mapping, found)

    assert key not in usual["export"]  # so that digests of older versions hold
    assert key in own["export"]
    assert recipe_digest(usual) != recipe_digest(own)
    (tmp_path / "again.yaml").write_text(dump_resolved(found[1]), encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml")[0].export == found[1].export
