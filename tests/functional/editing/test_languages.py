"""What a draft says of the base model's languages."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import Outcome


def test_the_languages_of_the_base_model_are_named_where_rows_are_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Outcome]
) -> None:
    texts = {
        "gut": "Ich war mit dem Service sehr zufrieden",
        "schlecht": "Der Kaffee war leider kalt",
    }
    lines = [
        f"{text} beim Besuch Nummer {at} im Haus,{mood}\n"
        for at in range(60)
        for mood, text in texts.items()
    ]
    (tmp_path / "cafe.csv").write_text("text,mood\n" + "".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    shown = " ".join(run("init", "cafe.csv").out.split())

    assert "the rows are in German and the base model was trained on English" in shown
    assert "--base-model" in shown
