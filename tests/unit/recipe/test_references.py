from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import RecipeError
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.recipe.references import named_model

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


@pytest.mark.parametrize("text", ["model", "owner/model@main", "a==1", "a==1//", "", "a/b/c"])
def test_what_names_no_model_is_told(text: str, tmp_path: Path) -> None:
    if not text:
        text = "no model"
    with pytest.raises(RecipeError, match="R010"):
        named_model(text, tmp_path)


def test_a_name_too_long_to_be_one_names_no_model(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        named_model("x" * 5000, tmp_path)

    assert refused.value.problems[0].code == "R010"
    assert len(refused.value.problems[0].message) < 300
