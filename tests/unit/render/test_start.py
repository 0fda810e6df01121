"""Where the model came from stands in the report only where it was made for the run."""

from engine.evidence import StartSummary
from engine.render.report.page import render_markdown
from engine.values import replace
from support import reports

TITLE = "Where the model came from"


def test_a_base_model_as_it_came_has_no_section() -> None:
    assert TITLE not in render_markdown(reports.accepted())


def test_the_layers_that_are_left_are_named_with_their_share() -> None:
    start = StartSummary(
        kind="fewer_layers",
        parameters=63_700_000,
        parameters_before=134_500_000,
        kept=(0, 3, 6),
        of=9,
    )

    text = render_markdown(replace(reports.accepted(), start=start))

    assert TITLE in text
    assert "3 of 9: 0, 3, 6" in text
    assert "63.7 M of 134.5 M (47 %)" in text


def test_a_blank_model_has_its_size_and_its_tokenizer() -> None:
    start = StartSummary(
        kind="scratch", parameters=2_755_008, vocabulary=512, bytes_per_token=1.884
    )

    text = render_markdown(replace(reports.accepted(), start=start))

    assert "2.8 M, drawn by seed" in text
    assert "512 tokens" in text
    assert "1.88 of the training text" in text
