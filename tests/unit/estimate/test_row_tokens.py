"""What a plan estimates of the tokens of rows that nothing has rendered yet."""

import itertools
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.data.examples.example import iter_examples
from engine.estimate.row_tokens import (
    OPENING,
    TURN,
    RowSample,
    in_blocks,
    mean,
    padded,
    sampled_sources,
    trained_lengths,
)
from engine.recipe import load_recipe
from engine.recipe.model import PathRef, Recipe
from engine.runtime.rendering.chat import load_chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.renderer import Renderer
from engine.values import replace
from support.estimates import recipe_in
from support.pico import make_pico_model

LENGTHS = ((10, 2), (20, 1), (40, 1))
INTENTS = tuple(f"intent_number_{number}" for number in range(62))


def tokens(sample: RowSample) -> float:
    return mean(sample.train)


def with_rows(recipe: Recipe, texts: list[str]) -> Recipe:
    lines = [json.dumps({"text": text, "label": "no"}, ensure_ascii=False) for text in texts]
    file = recipe.file.parent / "rows.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    (source,) = recipe.data.sources
    assert isinstance(source.ref, PathRef)
    moved = replace(source, ref=replace(source.ref, path=file))
    data = replace(recipe.data, sources=(moved,))
    return replace(recipe, data=data)


def with_task(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, task=replace(recipe.task, **changes))


def test_the_instruction_and_its_labels_stand_in_every_row(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    plain = sampled_sources(recipe, None)
    labels = {"labels": (*recipe.task.labels, *INTENTS)}
    unlisted = sampled_sources(with_task(recipe, **labels), None)
    asked = with_task(recipe, **labels, instruction="One of {labels}?")
    listed = sampled_sources(asked, None)

    assert tokens(unlisted) == tokens(plain)
    assert tokens(listed) > tokens(plain) + 5 * len(INTENTS)
    assert listed.shared > 5 * len(INTENTS)


def test_a_system_message_is_counted_in_place_of_the_template_s_own(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    without = sampled_sources(recipe, None)
    sampled = sampled_sources(with_task(recipe, system="You sort the mail of a bank."), None)

    assert tokens(sampled) == pytest.approx(tokens(without) - OPENING + TURN + 9, abs=2)


@pytest.mark.parametrize("system", ["", "You sort the mail of a bank."])
def test_rows_share_what_the_template_opens_with(system: str, tmp_path: Path) -> None:
    """A short question is not all that the rows have in common."""
    recipe = with_task(recipe_in(tmp_path), instruction="Spam?", system=system)
    sample = sampled_sources(recipe, None)
    ((row, _), *_) = sampled_sources(with_rows(recipe, ["a"]), None).train

    assert sample.shared > (OPENING if not system else 2 * TURN)
    assert sample.shared < row


def test_rows_with_system_messages_of_their_own_have_no_known_start(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    chats = [[{"role": "system", "content": "Be kind."}, *turns], turns]
    lines = [json.dumps({"messages": messages}) for messages in chats]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    fields = yaml.safe_load(recipe_in(tmp_path).file.read_text(encoding="utf-8"))
    changes = {"task": {"kind": "chat"}, "data": {"sources": [{"path": "rows.jsonl"}]}}
    changes["acceptance"] = {"metrics": {"perplexity": {"max": 9}}}
    (tmp_path / "chat.yaml").write_text(yaml.safe_dump(fields | changes), encoding="utf-8")
    mixed = sampled_sources(load_recipe(tmp_path / "chat.yaml")[0], None)
    (tmp_path / "rows.jsonl").write_text(lines[1], encoding="utf-8")
    plain = sampled_sources(load_recipe(tmp_path / "chat.yaml")[0], None)

    assert (mixed.rows, mixed.shared) == (2, 0)
    assert (plain.rows, plain.shared > OPENING) == (1, True)


def test_other_scripts_take_more_tokens_than_english(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    english, korean = "the film was good and long " * 4, "영화가 정말 재미있고 좋았습니다 " * 6
    few, many = (
        tokens(sampled_sources(with_rows(recipe, [one]), None)) for one in (english, korean)
    )

    assert len(english) == pytest.approx(len(korean), abs=1)
    assert many > 4 * few


def test_a_tokenizer_that_is_here_counts_the_sample(tmp_path: Path) -> None:
    """Against the renderer, which runs the chat template: only what it writes around the turns is estimated."""
    recipe = recipe_in(tmp_path)
    base = make_pico_model(tmp_path / "pico")
    chat = load_chat(base)
    renderer = Renderer(chat, recipe.task, LengthLimits.of(recipe))
    rows = tmp_path / "examples.jsonl"
    example = {"id": "a", "origin": "a", "input": f"{0:040d}", "target": "no", "labels": ["no"]}
    rows.write_text(json.dumps(example), encoding="utf-8")
    (real,) = renderer.lengths(iter_examples(rows))
    around = len(chat.token_ids("<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n<|im_end|>"))

    found = sampled_sources(recipe, base / "tokenizer.json")

    assert not found.from_characters
    assert found.train[0][0] == pytest.approx(real - around + OPENING + 2 * TURN, abs=2)


def test_a_damaged_tokenizer_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")

    assert sampled_sources(recipe_in(tmp_path), tmp_path / "tokenizer.json").from_characters


def test_rows_that_cannot_be_read_are_no_sample(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    (tmp_path / "rows.csv").write_text("text,label\na,perhaps\n", encoding="utf-8")
    assert sampled_sources(recipe, None).rows == 0
    (tmp_path / "rows.csv").unlink()
    assert sampled_sources(recipe, None).rows == 0


def test_longer_rows_are_left_out_with_drop_and_cut_without(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, max_length=16)
    checks = replace(recipe.data.checks, truncation="drop")
    drops = replace(recipe, data=replace(recipe.data, checks=checks))

    assert trained_lengths(recipe, LENGTHS) == ((10, 2), (16, 2))
    assert trained_lengths(drops, LENGTHS) == ((10, 2),)


def test_documents_make_full_blocks_and_a_rest() -> None:
    assert in_blocks(LENGTHS, 16) == ((4, 1), (8, 1), (10, 2), (16, 3))


def test_one_row_at_once_needs_no_padding() -> None:
    assert mean(LENGTHS) == padded(LENGTHS, 1) == pytest.approx(20)


def test_padding_is_the_mean_longest_of_rows_drawn_together() -> None:
    """Against every draw of three rows with replacement, counted one by one."""
    rows = [length for length, count in LENGTHS for _ in range(count)]
    drawn = statistics.mean(max(three) for three in itertools.product(rows, repeat=3))

    assert drawn == pytest.approx(padded(LENGTHS, 3))


def test_no_rows_have_no_length() -> None:
    assert padded((), 4) == mean(()) == 0
