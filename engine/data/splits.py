"""Dividing candidates into train, validation and holdout by their content, never by their place.

Each text gets a rank from the seed and its normalised form: the order of rows and files does not
matter, and texts that count as the same never stand in two splits.

Sizes in rows are met exactly (where repeated texts, kept together, leave room): the holdout is
drawn first, then validation, then train; stratified, each split has the classes in the proportion
of what is left (largest remainder). Sizes in fractions are bounds on the rank: adding rows moves no
row from one split to another, and a split of share p of n rows has p*n rows give or take
2*sqrt(n*p*(1-p)), two standard deviations; classes then come out in proportion, not exactly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import cast

from engine.data.candidates import Candidate, draw
from engine.errors import Problem
from engine.recipe.model import SplitName, Splits

ORDER: tuple[SplitName, ...] = ("holdout", "validation", "train")
"""In which splits are drawn."""
MIN_HOLDOUT = 2
"""Rows of each class below which nothing can be said about it."""
UNIT = 1 << 64

Divided = dict[SplitName, list[Candidate]]
Group = list[Candidate]
"""Candidates of the same normalised text; they stay together."""


def divide(candidates: Sequence[Candidate], splits: Splits) -> tuple[Divided, list[Problem]]:
    """Return the rows of each split, in drawn order, and a problem when there are too few."""
    groups = _groups(candidates, splits.seed)
    sizes: dict[SplitName, int | float] = {
        "holdout": splits.holdout,
        "validation": splits.validation,
        "train": splits.train,
    }
    if any(isinstance(size, float) for size in sizes.values()):
        divided = _by_fraction(groups, sizes, splits.seed)
        return divided, _empty_splits(divided, sizes, len(candidates))
    rows = cast("dict[SplitName, int]", sizes)
    needed = sum(rows.values())
    if needed > len(candidates):
        return {name: [] for name in ORDER}, [_too_few(rows, len(candidates))]
    return _by_rows(groups, rows, stratified=splits.by == "stratified"), []


def missing_classes(
    divided: Divided, labels: Iterable[str], candidates: Sequence[Candidate], splits: Splits
) -> list[Problem]:
    """Return a problem for each class without rows, or with too few in a split."""
    total = Counter(candidate.target for candidate in candidates)
    problems = []
    for label in labels:
        if not total[label]:
            message = f"label `{label}` has no rows"
            problems.append(Problem(code="D309", message=message, path="task.labels"))
            continue
        for name in ORDER:
            rows = divided[name]
            count = sum(candidate.target == label for candidate in rows)
            least = MIN_HOLDOUT if name == "holdout" else 1
            if getattr(splits, name) and rows and count < least:
                problems.append(_class_too_small(label, name, (count, least, total[label])))
    return problems


def _class_too_small(label: str, name: SplitName, counts: tuple[int, int, int]) -> Problem:
    count, least, total = counts
    return Problem(
        code="D312",
        message=(
            f"label `{label}` has {_rows(count)} in {name}, at least {least} are needed;"
            f" it has {_rows(total)} in all"
        ),
        path=f"splits.{name}",
        hint="add rows of that label, enlarge the split, or use `by: stratified`",
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _groups(candidates: Sequence[Candidate], seed: int) -> list[Group]:
    """Return the candidates by text, in drawn order."""
    by_key: dict[bytes, Group] = defaultdict(list)
    for candidate in candidates:
        by_key[candidate.key].append(candidate)
    for group in by_key.values():
        group.sort(key=lambda item: (item.input, item.target, item.origin))
    return [by_key[key] for key in sorted(by_key, key=lambda key: (draw("split", seed, key), key))]


def _by_fraction(
    groups: Sequence[Group], sizes: Mapping[SplitName, int | float], seed: int
) -> Divided:
    bounds: list[tuple[SplitName, Fraction]] = []
    upper = Fraction(0)
    for name in ORDER:
        upper += Fraction(str(sizes[name]))
        bounds.append((name, upper))
    divided: Divided = {name: [] for name in ORDER}
    for group in groups:
        position = Fraction(int.from_bytes(draw("split", seed, group[0].key)[:8]), UNIT)
        for name, bound in bounds:
            if position < bound:
                divided[name] += group
                break
    return divided


def _by_rows(
    groups: Sequence[Group], sizes: Mapping[SplitName, int], *, stratified: bool
) -> Divided:
    strata: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        strata[group[0].target if stratified else ""].append(group)
    rank = {id(group): number for number, group in enumerate(groups)}
    divided: Divided = {name: [] for name in ORDER}
    for name in ORDER:
        left = {stratum: sum(map(len, rest)) for stratum, rest in strata.items()}
        taken: list[Group] = []
        for stratum, count in apportion(sizes[name], left).items():
            got, strata[stratum] = _take(strata[stratum], count)
            taken += got
        taken.sort(key=lambda group: rank[id(group)])
        divided[name] = [candidate for group in taken for candidate in group]
    return divided


def apportion(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Return `total` divided in proportion to whole `weights` by largest remainder, ties by name.

    No share exceeds its weight while `total` does not exceed their sum.
    """
    everything = sum(weights.values())
    if not everything:
        return dict.fromkeys(weights, 0)
    shares = {name: total * weight // everything for name, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda name: (-(total * weights[name] % everything), name))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def _take(groups: Sequence[Group], rows: int) -> tuple[list[Group], list[Group]]:
    """Return the first groups that fit into `rows`, and the others."""
    taken, left = [], []
    for group in groups:
        if len(group) <= rows:
            taken.append(group)
            rows -= len(group)
        else:
            left.append(group)
    return taken, left


def _too_few(sizes: Mapping[SplitName, int], rows: int) -> Problem:
    needed = sum(sizes.values())
    parts = " + ".join(f"{sizes[name]:,} {name}" for name in reversed(ORDER))
    spare = rows - sizes["holdout"] - sizes["validation"]
    hint = f"`splits.train: {spare}` would fit" if spare > 0 else None
    return Problem(
        code="D311",
        message=f"{needed:,} rows are needed ({parts}), there are {rows:,}",
        path="splits",
        hint=hint,
    )


def _empty_splits(
    divided: Divided, sizes: Mapping[SplitName, int | float], rows: int
) -> list[Problem]:
    return [
        Problem(
            code="D311",
            message=f"{sizes[name]} of {rows:,} rows leaves none for {name}",
            path=f"splits.{name}",
        )
        for name in ORDER
        if sizes[name] and not divided[name]
    ]
