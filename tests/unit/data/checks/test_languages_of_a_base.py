"""The languages of a base model beside those of the rows."""

from pathlib import Path

import pytest

from engine.data.checks.rows.languages import languages_of, unspoken
from engine.recipe.model import HubRef, PathRef

KOREAN = ["이 영화는 정말 재미있고 감동적이어서 다시 보고 싶습니다"] * 20
FRENCH = ["Le serveur ne répond plus depuis hier soir et personne ne rappelle"] * 20
ENGLISH = ["The server has not answered since last night and nobody calls back"] * 20


def of_card(folder: Path, head: str) -> PathRef:
    (folder / "README.md").write_text(f"---\nlicense: mit\n{head}\ntags: [x]\n---\nlanguage: de\n")
    return PathRef(path=folder, written="models/SmolLM2")


@pytest.mark.parametrize(
    ("head", "codes"),
    [
        ("language: ko", ["ko"]),
        ("language: [ko, en]", ["ko", "en"]),
        ("language:\n- ko\n- 'en'", ["ko", "en"]),
        ("language: multilingual", ["en"]),
        ("library_name: transformers", ["en"]),
    ],
)
def test_a_card_says_the_languages_and_else_the_name_of_the_family(
    head: str, codes: list[str], tmp_path: Path
) -> None:
    assert languages_of(of_card(tmp_path, head)) == codes


@pytest.mark.parametrize(
    ("repo", "texts", "named"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", KOREAN, "Korean and the base model was trained on English"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", FRENCH, "French and the base model was trained on English"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", ENGLISH, ""),
        ("HuggingFaceTB/SmolLM3-3B", FRENCH, ""),
        ("Qwen/Qwen3-0.6B", KOREAN, ""),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", ["12", "7"], ""),
    ],
)  # fmt: skip
def test_rows_in_a_language_that_the_base_model_does_not_know_are_named(
    repo: str, texts: list[str], named: str
) -> None:
    assert unspoken(HubRef(repo=repo), texts) == (f"the rows are in {named}" if named else "")
