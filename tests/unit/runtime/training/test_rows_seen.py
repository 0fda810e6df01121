"""Rows are counted as a trainer learns from them, over an epoch that is interrupted, too."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from engine.runtime.training.rows_seen import RowsSeen

ROWS = [([one, 9, one + 1], [-100, -100, one + 1]) for one in range(6)]


def row(number: int) -> dict[str, Any]:
    ids, labels = ROWS[number]
    return {"input_ids": ids, "labels": labels}


def watched() -> tuple[RowsSeen, list[Any]]:
    events: list[Any] = []
    return RowsSeen(iter(ROWS), events.append), events


def learn(seen: RowsSeen, *batches: tuple[int, ...]) -> None:
    """Steps of one batch each, of which a trainer always makes one more than it has learned from."""
    for number, batch in enumerate(batches):
        seen.collated([row(one) for one in batch])
        if number:
            seen.step_ended(1)


def counts(event: dict[str, Any]) -> tuple[int, int]:
    return event["missing"], event["again"]


@pytest.mark.parametrize(
    ("batches", "epoch", "expected"),
    [
        (((0, 3), (1, 2), (5, 4)), 1.0, (0, 0)),
        (((0, 3), (1, 0), (5, 4)), 1.0, (1, 1)),
        (((0, 3), (1, 2)), 0.5, (0, 0)),
    ],
    ids=["each once", "one twice", "an epoch that ends early"],
)
def test_rows_that_are_left_out_or_seen_again_are_counted(
    batches: tuple[tuple[int, ...], ...], epoch: float, expected: tuple[int, int]
) -> None:
    seen, events = watched()
    learn(seen, *batches)
    seen.epoch_ended(epoch)

    assert counts(events[0]) == expected


def test_rows_in_the_order_of_their_file_are_found() -> None:
    rows = [([one, 9, one], [-100, -100, one]) for one in range(20)]
    orders: dict[str, list[int]] = {"file": [*range(20)], "other": [1, 0, *range(2, 20)]}
    for is_shuffled, name, expected in (
        (True, "file", True),
        (True, "other", False),
        (False, "file", False),
    ):
        events: list[Any] = []
        seen = RowsSeen(iter(rows), events.append)
        seen.is_shuffled = is_shuffled
        seen.collated([{"input_ids": rows[at][0], "labels": rows[at][1]} for at in orders[name]])
        seen.epoch_ended(1.0)

        assert events[0]["in_order"] is expected


def test_other_labels_are_another_row_but_for_the_first_place() -> None:
    odd: list[Any] = []
    seen = RowsSeen(iter(ROWS), lambda _: None, odd.extend)
    offered = [row(one) for one in range(6)]
    offered[1] = {**offered[1], "labels": [7, -100, 2]}
    offered[2] = {**offered[2], "labels": [-100, -100, -100]}
    seen.offered(Dataset.from_list(offered))

    assert [one["input_ids"] for one in odd] == [ROWS[2][0]]


def test_a_training_that_goes_on_sees_the_rows_that_are_left(tmp_path: Path) -> None:
    first, _ = watched()
    learn(first, (0, 3), (1, 2), (5, 4))
    first.save(tmp_path)
    whole, chains = watched()
    learn(whole, (0, 3), (1, 2), (5, 4))
    whole.epoch_ended(1.0)

    for left, expected in (((5, 4), (0, 0)), ((5, 3), (1, 1))):
        second, events = watched()
        second.go_on(tmp_path)
        learn(second, left)
        second.epoch_ended(1.0)
        assert counts(events[0]) == expected
        assert (events[0]["chain"] == chains[0]["chain"]) is (expected == (0, 0))


def test_a_checkpoint_of_an_earlier_version_does_not_say_what_is_left(tmp_path: Path) -> None:
    seen, events = watched()
    seen.go_on(tmp_path)
    learn(seen, (5, 4))
    seen.epoch_ended(1.0)

    assert counts(events[0]) == (0, 0)


def test_rows_of_preferences_are_not_counted() -> None:
    seen, events = watched()
    seen.collated([{"prompt_ids": [1]}])
    seen.step_ended(1)
    seen.epoch_ended(1.0)

    assert events == []
