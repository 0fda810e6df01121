"""What a lock proves: the same for what asks for the same, another for anything that can change the model."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import RecipeError
from engine.recipe import load_recipe
from engine.recipe.baselines import DEFAULT_ENCODER, as_written, baseline
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.recipe.references import named_model, written_references
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


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/model", HubRef(repo="owner/model")),
        (f"owner/model@{COMMIT}", HubRef(repo="owner/model", revision=COMMIT)),
        (
            "some-model==1.0.2//some_model/a.gguf",
            PackageRef(name="some-model", version="1.0.2", sha256=None, file="some_model/a.gguf"),
        ),
        (
            f"a==1//b.tar.gz//c.gguf#sha256={'0' * 64}",
            PackageRef(name="a", version="1", sha256="0" * 64, file="b.tar.gz//c.gguf"),
        ),
    ],
)
def test_a_model_is_named_in_one_word(text: str, expected: Reference, tmp_path: Path) -> None:
    assert named_model(text, tmp_path) == expected


def test_a_path_comes_before_the_hub(tmp_path: Path) -> None:
    (tmp_path / "owner" / "model").mkdir(parents=True)

    assert named_model("owner/model", tmp_path) == PathRef(
        path=tmp_path / "owner" / "model", written="owner/model"
    )
    assert isinstance(named_model("./absent", tmp_path), PathRef)


def test_the_encoder_of_a_baseline_is_a_model_at_a_key_of_its_own() -> None:
    linear, tuned = {"package": "toy==1.0", "file": "toy/model.zip"}, {"path": "encoder"}
    written = {"baselines": ["tfidf_svm", {"encoder_linear": linear}, {"encoder_tuned": tuned}]}

    assert list(written_references(written)) == [
        (("baselines", 1, "encoder_linear"), linear, "model"),
        (("baselines", 2, "encoder_tuned"), tuned, "model"),
    ]


def test_a_baseline_that_names_no_encoder_stands_on_the_pinned_default(tmp_path: Path) -> None:
    found = baseline("encoder_linear", tmp_path)

    assert found.ref == DEFAULT_ENCODER
    assert DEFAULT_ENCODER.sha256 is not None
    assert as_written(found) == {"encoder_linear": {}}


@pytest.mark.parametrize("text", ["model", "owner/model@main", "a==1", "a==1//", "", "a/b/c"])
def test_what_names_no_model_is_reported(text: str, tmp_path: Path) -> None:
    if not text:
        text = "no model"
    with pytest.raises(RecipeError, match="R010"):
        named_model(text, tmp_path)


def test_a_name_too_long_to_be_one_names_no_model(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        named_model("x" * 5000, tmp_path)

    assert refused.value.problems[0].code == "R010"
    assert len(refused.value.problems[0].message) < 300
