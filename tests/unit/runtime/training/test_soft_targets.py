"""The table of a teacher's probabilities, and the divergence from them."""

from pathlib import Path

import pytest
import torch

from engine.runtime.training.soft_targets import (
    Targets,
    TargetTable,
    answered_logits,
    divergence,
    row_key,
    write_table,
)

ROWS = [
    {"input_ids": [1, 2, 3, 4], "labels": [-100, -100, 3, 4]},
    {"input_ids": [1, 2, 5], "labels": [-100, -100, 5]},
]


def targets(places: int, start: int = 0) -> Targets:
    tokens = torch.arange(start, start + 2 * places, dtype=torch.int32).reshape(places, 2)
    return Targets(tokens=tokens, log_probabilities=-tokens.half() / 10)


@pytest.fixture
def table(tmp_path: Path) -> TargetTable:
    found = [targets(2), targets(1, start=10)]
    write_table(tmp_path, [row_key(row) for row in ROWS], found)
    return TargetTable(tmp_path)


def test_rows_find_their_own_targets_in_any_order(table: TargetTable) -> None:
    found = table.of([ROWS[1], ROWS[0], ROWS[1]])

    assert found is not None
    assert found.tokens[:, 0].tolist() == [10, 0, 2, 10]
    assert found.log_probabilities[0].tolist() == pytest.approx([-1.0, -1.1], abs=1e-3)


@pytest.mark.parametrize(
    "other",
    [
        {"input_ids": [1, 2, 6], "labels": [-100, -100, 6]},
        {"input_ids": [1, 2, 5], "labels": [-100, 2, 5]},
    ],
    ids=["other tokens", "other learned ones"],
)
def test_a_row_that_was_not_asked_has_none(table: TargetTable, other: dict[str, list[int]]) -> None:
    assert table.of([ROWS[0], other]) is None


def test_a_row_that_is_there_twice_is_kept_once(tmp_path: Path) -> None:
    write_table(tmp_path, [row_key(ROWS[0])] * 2, [targets(2)] * 2)

    found = TargetTable(tmp_path).of(ROWS[:1])

    assert found is not None
    assert len(found.tokens) == 2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_divergence_is_that_of_distributions_over_the_kept_tokens(temperature: float) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 9), torch.randn(3, 9)
    logs, tokens = teacher.log_softmax(-1).topk(4)

    found = divergence(student, tokens, logs, temperature=temperature)

    q = (student.gather(1, tokens) / temperature).log_softmax(-1)
    p = (teacher.gather(1, tokens) / temperature).log_softmax(-1)
    wanted = torch.nn.functional.kl_div(q, p, log_target=True, reduction="sum")
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)
    assert float(divergence(teacher, tokens, logs, temperature=temperature)) < 1e-6


def test_logits_of_a_plain_batch_are_those_before_learned_tokens() -> None:
    logits = torch.arange(2 * 4 * 3, dtype=torch.float).reshape(2, 4, 3)
    labels = torch.tensor([[-100, -100, 3, 4], [-100, -100, 5, -100]])

    found = answered_logits(logits, {"labels": labels})

    assert found.tolist() == [logits[0, 1].tolist(), logits[0, 2].tolist(), logits[1, 1].tolist()]
