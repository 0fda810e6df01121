"""A window that moves over a document: each part judged once, with what stands before it."""

import math

import pytest

from engine.data.examples.example import Example
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.renderer import Renderer
from engine.runtime.rendering.segments import document_windows
from engine.runtime.scoring.likelihood import likelihood
from support.tasks import task

TEXT = "the film was good, the plot was not bad at all, and I liked it. " * 12
LENGTH, STRIDE = 64, 16


def test_every_part_is_judged_once_and_no_window_is_too_long(pico: LoadedModel) -> None:
    windows = [*document_windows(pico.chat, TEXT, LENGTH, STRIDE)]

    judged = "".join(block for _, _, block in windows)
    assert judged == TEXT + pico.chat.tokenizer.eos_token
    for opening, context, block in windows:
        tokens = [len(pico.chat.token_ids(one)) for one in (opening, *context, block)]
        assert sum(tokens) <= LENGTH
        assert tokens[-1] <= STRIDE
    assert all(len(context) >= 2 for _, context, _ in windows[3:])


def test_what_is_judged_first_is_as_without_a_stride(pico: LoadedModel) -> None:
    short = "the film was good"

    [(_, context, _)] = document_windows(pico.chat, short, LENGTH, STRIDE)

    assert context == ()


@pytest.mark.parametrize("stride", [0, STRIDE])
def test_the_nats_of_windows_are_those_of_their_parts(pico: LoadedModel, stride: int) -> None:
    limits = LengthLimits(max_length=LENGTH, truncation="off", stride=stride)
    renderer = Renderer(pico.chat, task(kind="text"), limits)
    rows = renderer.render(Example(id="a", origin="a:1", input=TEXT, target=""))

    scored = likelihood(pico, [row.segments for row in rows], progress=None)

    whole = sum(len(pico.chat.token_ids(row.answer)) for row in rows)
    # With context the first token of a part has something before it, and is counted.
    assert sum(one.tokens for one in scored) == (whole - 1 if stride else whole - len(rows))
    assert all(math.isfinite(one.nll) for one in scored)


def test_without_a_stride_keys_are_as_they_were() -> None:
    limits = LengthLimits(max_length=LENGTH, truncation="off")

    assert "stride" not in limits.payload()
