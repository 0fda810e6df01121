"""How many texts a plan takes to be replayed beside the rows, and how long these are, before a run has taken any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.estimate.rows import known_rows
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.store import Store

LIMIT = 512
REVISION = "0123456789" * 4
RECIPE = """
recipe: v1
name: text
description: Go on with a text.
task: {{kind: text}}
base_model: {{package: nowhere==1.0, sha256: {digest}, file: model.gguf}}
data:
  sources: [{{path: rows.jsonl}}]
  replay: {replay}
splits: {{by: random, train: 200, validation: 40, holdout: 60}}
method: {{kind: lora, max_length: {limit}, packing: {packing}}}
acceptance: {{metrics: {{perplexity: {{max: 100}}}}}}
"""


def written(path: Path, words: int, count: int) -> None:
    texts = (f"{'a plain word of it ' * (words // 5)}{n}" for n in range(count))
    lines = (json.dumps({"text": text}) + "\n" for text in texts)
    path.write_text("".join(lines), encoding="utf-8")


def recipe_in(folder: Path, replay: str, *, packing: bool = False) -> Recipe:
    written(folder / "rows.jsonl", 200, 300)
    text = RECIPE.format(replay=replay, limit=LIMIT, packing=str(packing).lower(), digest="0" * 64)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")[0]


@pytest.mark.parametrize(
    ("replay", "packing"),
    [
        ("{share: 0.2, sources: [{path: general.jsonl}]}", True),
        ("{share: 0.2, sources: [{path: general.jsonl}]}", False),
        ("{share: 0.2, from: base_model}", False),
        (f"{{share: 0.2, sources: [{{hub: owner/text, revision: '{REVISION}', split: train}}]}}", False),
    ],
    ids=["packed", "given", "sampled", "elsewhere"],
)  # fmt: skip
def test_texts_that_are_not_counted_are_as_long_as_a_row_may_be(
    replay: str, packing: bool, tmp_path: Path
) -> None:
    written(tmp_path / "general.jsonl", 20, 300)
    recipe = recipe_in(tmp_path, replay, packing=packing)

    rows = known_rows(recipe, Store(tmp_path / ".recipe"), None, {})

    assert rows is not None
    assert rows.replayed == pytest.approx(0.25 * 200 * 200 / LIMIT, rel=0.25)
