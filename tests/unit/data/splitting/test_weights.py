"""Weights of sources: whole parts repeat, the rest is a share drawn by content."""

from typing import Any

from engine.data.checks.findings import Findings
from engine.data.examples.output import weigh
from engine.data.splitting.splits import divide
from support.pools import Made, asked, pool_of


class Weighted:
    def __init__(self, weight: float) -> None:
        self.weight = weight


def divided_with_weight(weight: float) -> tuple[list[int], list[int], int, Findings]:
    splits = asked(train="all", validation=20, holdout=80)
    pool = pool_of([Made(text=f"t{n}") for n in range(500)], splits)
    division = divide(pool, splits)
    findings = Findings()
    sources: Any = [Weighted(weight)]
    repeats = weigh(pool, division, sources, seed=7, findings=findings)
    train = division.rows(pool, "train")
    judged = [*division.rows(pool, "validation"), *division.rows(pool, "holdout")]
    return list(train), judged, sum(repeats.get(row, 1) for row in train), findings


def test_a_whole_weight_repeats_every_training_row_and_no_other() -> None:
    train, judged, rows_seen, _ = divided_with_weight(3)

    assert (len(train), len(judged), rows_seen) == (400, 100, 1200)


def test_a_fraction_keeps_that_share_of_the_training_rows() -> None:
    train, judged, rows_seen, findings = divided_with_weight(0.5)

    assert 160 <= len(train) <= 240  # 4 standard deviations around 200
    assert (len(judged), rows_seen) == (100, len(train))
    assert findings.dropped["thinned by the weight of its source"] == 400 - len(train)


def test_a_mixed_weight_repeats_a_share_once_more() -> None:
    train, _, rows_seen, _ = divided_with_weight(1.25)

    assert len(train) == 400
    assert 460 <= rows_seen <= 540


def test_the_same_rows_are_kept_whatever_their_order() -> None:
    assert divided_with_weight(0.5)[0] == divided_with_weight(0.5)[0]
