"""Parts of the rows to train again on: nested shares of them, and folds."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import sha256

from engine.data.examples.example import Example, content_key
from engine.values import Value


class Fold(Value):
    """One training of a cross-validation. No text of `judged` stands in the other two."""

    number: int
    """From 0; fold 0 is the split of the model that is shipped."""
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    judged: tuple[Example, ...]


def ranked(
    rows: Sequence[Example], *, seed: int, kind: Callable[[Example], str] = lambda row: row.target
) -> list[Example]:
    """Return the rows in an order of which every beginning holds each label, or another `kind`, at its share.

    Within a label the order is that of seeded hashes of the ids. A beginning of as many rows as
    there are labels holds every label.
    """
    by_label: dict[str, list[Example]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: sha256(f"{seed}:{row.id}".encode()).digest()):
        by_label[kind(row)].append(row)
    depth = {
        row.id: rank / len(group) for group in by_label.values() for rank, row in enumerate(group)
    }
    # The depth within the label comes first, so that every beginning takes the same share of each label.
    return sorted(rows, key=lambda row: (depth[row.id], row.id))


def beginning(rows: Sequence[Example], size: int, *, seed: int) -> list[Example]:
    """Return the first `size` of the ranked rows, in the order given; larger ones hold smaller ones."""
    if size >= len(rows):
        return list(rows)
    chosen = {row.id for row in ranked(rows, seed=seed)[:size]}
    return [row for row in rows if row.id in chosen]


def share(rows: Sequence[Example], part: float, *, seed: int) -> list[Example]:
    size = round(part * len(rows))
    if size >= len(rows):
        return list(rows)
    chosen = {row.id for row in ranked(rows, seed=seed, kind=_kind)[:size]}
    return [row for row in rows if row.id in chosen]


def _kind(row: Example) -> str:
    """Return what a part has to hold at its share: texts that are answered are each a kind of its own, and no share."""
    return row.target if row.labels else str(row.payload.get("desirable", ""))


def inner_folds(rows: Sequence[Example], count: int, *, seed: int) -> list[int]:
    """Number each row with a fold from 0: labels evenly spread, groups and equal texts together; empty for one unit."""
    members: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        members[row.group or content_key(row.input).hex()].append(place)
    if len(members) < 2:
        return []
    order = sorted(members, key=lambda unit: sha256(f"{seed}:{unit}".encode()).digest())
    order.sort(key=lambda unit: rows[members[unit][0]].target)
    numbers = [0] * len(rows)
    for rank, unit in enumerate(order):
        for place in members[unit]:
            numbers[place] = rank % count
    return numbers


def folds_of(
    train: Sequence[Example],
    validation: Sequence[Example],
    holdout: Sequence[Example],
    *,
    folds: int,
    near: bool,
) -> tuple[Fold, ...]:
    """Return the trainings of a cross-validation over all rows of the three splits.

    Fold 0 is the splits as they are. In fold i > 0 the rows with `fold` i are judged; its
    validation rows are those of the validation split outside fold i, and all other rows train,
    those of the holdout among them. Every row is judged exactly once. What reads the same as a
    judged row is left out of its training, with `near` also what reads nearly the same.
    """
    found = [
        Fold(number=0, train=tuple(train), validation=tuple(validation), judged=tuple(holdout))
    ]
    for number in range(1, folds):
        judged = tuple(row for row in (*train, *validation) if row.fold == number)
        trained = (*(row for row in train if row.fold != number), *holdout)
        steering = [row for row in validation if row.fold != number]
        found.append(
            Fold(
                number=number,
                train=_apart(trained, judged, near=near),
                validation=_apart(steering, judged, near=near),
                judged=judged,
            )
        )
    return tuple(found)


def _apart(
    rows: Sequence[Example], judged: Sequence[Example], *, near: bool
) -> tuple[Example, ...]:
    """Leave out what stands among the judged rows; the data stage looked at fold 0 only."""
    from engine.data.similarity.near import leaks  # a plan compares no rows

    found = leaks([row.input for row in judged], enumerate(row.input for row in rows))
    out = {match.other for match in found if near or match.exact}
    return tuple(row for place, row in enumerate(rows) if place not in out)
