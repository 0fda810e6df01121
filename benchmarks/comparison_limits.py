"""How far intervals and p-values of honest comparisons come to the limits that `recipe verify` sets.

Pairs of models are drawn by a seed: 20 to 300 rows of 2 to 6 labels, right on 0 to 100 %, alike or not, some with
probabilities, some against one constant label. Each comparison that `engine.bundle.scores` would deny is
printed; there must be none.

    PYTHONPATH=. python benchmarks/comparison_limits.py --pairs 400 --seed 1
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.bundle.scores import comparison_statistics
from engine.evidence import Comparison
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import difference, pair
from engine.metrics.scoring import score
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace

RECIPE = Path(__file__).parents[1] / "recipes" / "quickstart.yaml"
SEED = 7


def denied(draw: random.Random, recipe: Recipe) -> Iterator[str]:
    """Yield what is wrongly denied of one pair of models."""
    labels = [f"label {number}" for number in range(draw.choice((2, 3, 6)))]
    count = draw.choice((20, 40, 60, 150, 300))
    targets = [*labels, *(draw.choice(labels) for _ in range(count - len(labels)))]
    chances = [draw.random() for _ in targets]
    alike, share = draw.random(), draw.choice((0.0, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0))
    others = [one if draw.random() < alike else draw.random() for one in chances]

    def answers(below: float, drawn: Sequence[float]) -> list[str]:
        pairs = zip(targets, drawn, strict=True)
        return [right if one < below else draw.choice(labels) for right, one in pairs]

    first, second = (
        answers(share, chances),
        answers(draw.choice((0.0, 0.3, 0.5, 0.7, 0.9, 1.0)), others),
    )
    if draw.random() < 0.4:
        second = [labels[0]] * count
    probabilities = draw.random() < 0.7
    models = [
        [
            Prediction(
                id=f"{number:016x}",
                target=target,
                label=answer,
                text=answer,
                probability=None,
                probabilities=_some(draw, len(labels)) if probabilities else (),
            )
            for number, (target, answer) in enumerate(zip(targets, one, strict=True))
        ]
        for one in (first, second)
    ]
    recipe = replace(recipe, task=replace(recipe.task, labels=tuple(labels)))
    judging = Judging(task=recipe.task, confidence=recipe.acceptance.confidence, seed=SEED)
    mine, its = models
    tuned, rival = score(mine, judging), score(its, judging)
    paired = pair(mine, its, judging)
    found = [(name, difference(name, paired)) for name in ("accuracy", "macro_f1")]
    comparisons = [
        Comparison(
            name="rival",
            metric=name,
            difference=one.metric.value,
            interval=one.metric.interval,
            p_value=one.p_value,
            p_adjusted=one.p_value,
            test=one.test,
            n=one.metric.n,
        )
        for name, one in found
    ]
    yield from comparison_statistics(comparisons, tuned, {"rival": rival}, recipe)


def _some(draw: random.Random, count: int) -> tuple[float, ...]:
    parts = [draw.random() for _ in range(count)]
    return tuple(part / sum(parts) for part in parts)


def main() -> None:
    """Draw the pairs, and print what is denied."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)  # noqa: S311 - repeatable
    recipe = load_recipe(RECIPE)[0]
    found = [why for _ in range(options.pairs) for why in denied(draw, recipe)]
    print(*found, f"{len(found)} of {2 * options.pairs} comparisons denied", sep="\n")


if __name__ == "__main__":
    main()
