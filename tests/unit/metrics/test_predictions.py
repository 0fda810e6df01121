from pathlib import Path

import pytest

from engine.metrics.predictions import Prediction, read_predictions, write_predictions


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    predictions = [
        Prediction(id="a" * 16, target="ja", label="ja", text="ja", probability=0.25),
        Prediction(
            id="b" * 16,
            target="ja",
            label=None,
            text="line\nnext\u2028é \U0001f600",
            probability=None,
        ),
    ]

    write_predictions(tmp_path / "p.jsonl", predictions)

    assert predictions == read_predictions(tmp_path / "p.jsonl")


def test_a_file_holds_one_json_object_a_line(tmp_path: Path) -> None:
    prediction = Prediction(id="0f", target="ä", label="ä", text="ä\n", probability=1.0)

    write_predictions(tmp_path / "p.jsonl", [prediction])

    assert (tmp_path / "p.jsonl").read_text(
        encoding="utf-8"
    ) == '{"id": "0f", "target": "ä", "label": "ä", "text": "ä\\n", "probability": 1.0}\n'


def test_a_probability_that_is_no_number_is_never_written(tmp_path: Path) -> None:
    prediction = Prediction(id="0f", target="a", label="a", text="a", probability=float("nan"))

    with pytest.raises(ValueError, match="Out of range"):
        write_predictions(tmp_path / "p.jsonl", [prediction])
