"""Addresses of a shared store: which are ones, and that none holds a secret."""

from pathlib import Path

import pytest

from engine.errors import RecipeError
from engine.store.remote.objects import shared_place


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("s3://team-models/recipes/", "s3://team-models/recipes"),
        ("gs://team-models", "gs://team-models"),
        ("az://account/container/a", "az://account/container/a"),
        ("S3://team-models", "s3://team-models"),
        ("file:///data/with%20space", "file:///data/with%20space"),
        ("/data/shared", "file:///data/shared"),
    ],
)
def test_an_address_names_a_folder_or_a_bucket(named: str, url: str) -> None:
    place = shared_place(named)

    assert place.url == url
    assert (place.folder is None) == (not url.startswith("file:"))


def test_a_folder_is_meant_from_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert shared_place("shared").folder == tmp_path / "shared"


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("", "R435"),
        ("http://example.com/store", "R435"),
        ("s3:///prefix", "R435"),
        ("file://host/data", "R435"),
        ("file:///data/%00", "R435"),
        ("~nobody-of-that-name/data", "R435"),
        ("s3://[", "R435"),
        ("s3://AKIA:hunter2@bucket/a", "R436"),
        ("s3://bucket/a?endpoint=http://x", "R436"),
        ("az://account/container#hunter2", "R436"),
    ],
)
def test_what_is_none_or_holds_a_secret_is_refused_without_showing_it(
    named: str, code: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        shared_place(named)

    assert [problem.code for problem in caught.value.problems] == [code]
    assert "hunter2" not in str(caught.value)
