from pathlib import Path

import pytest

from engine.errors import RecipeError
from engine.recipe.baselines import DEFAULT_ENCODER, as_written, baseline
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.recipe.references import named_model, written_references

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
