"""Packing fills rows nearly to the brim, puts every document in one of them, and always in the same."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.examples.example import Example
from engine.recipe.model import Task
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.render_stats import RenderStats
from engine.runtime.rendering.rendered_files import IGNORED, first_fit_decreasing, write_packed
from engine.runtime.rendering.renderer import Renderer
from engine.runtime.rendering.segments import document_windows
from engine.runtime.scoring.likelihood import likelihood
from support.tasks import task

ROOM = 64
TASK = Task(
    kind="text", instruction="", system="", input="{text}", labels=(), schema=None, output="text"
)


def naive(lengths: list[int], room: int) -> list[list[int]]:
    """First fit decreasing, as a textbook says it."""
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        fits = (one for one in groups if sum(lengths[at] for at in one) + lengths[place] <= room)
        if (group := next(fits, None)) is None:
            groups.append([place])
        else:
            group.append(place)
    return sorted(sorted(group) for group in groups)


@given(st.lists(st.integers(1, ROOM), max_size=60))
def test_groups_are_those_of_first_fit_decreasing(lengths: list[int]) -> None:
    assert first_fit_decreasing(lengths, ROOM) == (naive(lengths, ROOM) if lengths else [])


def test_packed_rows_hold_every_document_whole_and_learn_all_but_its_first_token(
    pico: LoadedModel, tmp_path: Path
) -> None:
    texts = [f"document {number}" + " and more" * (number % 7) for number in range(30)]
    rows = [
        Example(id=f"{number:016}", origin=f"a:{number}", input=text, target="")
        for number, text in enumerate(texts)
    ]
    limits = LengthLimits(max_length=ROOM, truncation="fail")
    rendered = list(Renderer(pico.chat, TASK, limits).rendered(rows, RenderStats()))

    found = write_packed(tmp_path / "train.jsonl", rendered, pico.chat, ROOM)

    lines = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()
    written = [json.loads(line) for line in lines]
    documents = [
        [
            token
            for token, mark in zip(row["input_ids"], row["attention_mask"], strict=True)
            if mark == number
        ]
        for row in written
        for number in range(1, max(row["attention_mask"]) + 1)
    ]
    expected = [pico.chat.token_ids(one.segments[-1].text) for one in rendered]
    assert sorted(documents) == sorted(expected)
    assert found.documents == len(rendered)
    assert found.learned == sum(len(one) - 1 for one in expected)
    assert found.learned == sum(label != IGNORED for row in written for label in row["labels"])
    assert sum(found.lengths.values()) == len(written)
    assert max(found.lengths) <= ROOM


# A window that moves over a document: each part judged once, with what stands before it.
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
