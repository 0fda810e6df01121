"""Seeds by the stage that is to notice them (`support.fault_table`)."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.data.examples.example import Example, write_examples
from support.project import Project, write_rows
from support.seeded_faults import (
    AFTER,
    FIRST,
    Patch,
    Prepare,
    Seed,
    both,
    recipe,
    rows,
)


def in_first_step(prepare: Prepare, code: str) -> Seed:
    """Return a seed of the trainer that is seen before a second step."""
    return Seed(prepare=prepare, code=code, where=FIRST, until="train")


def in_trainer(prepare: Prepare, code: str) -> Seed:
    """Return a seed of the trainer's rows that is seen before it takes a step."""
    return Seed(prepare=prepare, code=code, until="train")


def in_merge(prepare: Prepare, code: str) -> Seed:
    """Return a seed of the merge of an accepted run."""
    return Seed(prepare=prepare, code=code, where=AFTER, until="merge", again="merge")


def in_evaluate(prepare: Prepare, code: str) -> Seed:
    """Return a seed that shows when the trained model is asked."""
    return Seed(prepare=prepare, code=code, where=AFTER, until="evaluate")


def moved(rows_on: int) -> Callable[[list[list[str]]], object]:
    """Let labels stand so many rows too late."""

    def change(found: list[list[str]]) -> None:
        labels = [label for _, label in found]
        for row, label in zip(found, labels[-rows_on:] + labels[:-rows_on], strict=True):
            row[1] = label

    return change


def drawn_labels(project: Project, patch: Patch) -> None:
    """Draw every row's label anew."""
    draw = random.Random(3)
    labels = ("negative", "positive")
    rows(lambda found: [one.__setitem__(1, draw.choice(labels)) for one in found])(project, patch)


def learned_rows(split: str) -> Prepare:
    """Write training rows for those of a split, behind the checks of the data, and learn them by heart."""

    def prepare(project: Project, patch: Patch) -> None:
        train = list[Example]()

        def written(examples: Iterable[Example], path: Path) -> None:
            found = list(examples)
            if path.stem == "train":
                train.extend(found)
            write_examples(path, train[: len(found)] if path.stem == split else found)

        patch.setattr("engine.data.examples.output.Examples.write", written)
        # Labels that follow from nothing can be known by heart only.
        by_heart: dict[str, Any] = {"method__epochs": 40, "method__learning_rate": 1e-2}
        # Of 60 rows each chance does not make the gap small, whichever labels a rounding error turns.
        write_rows(project.folder, 180)
        project.edit(splits__validation=60, splits__holdout=60, baselines=["majority"], **by_heart)
        drawn_labels(project, patch)

    return prepare


def moved_answers(change: Callable[[list[int]], list[int]]) -> Seed:
    """Return a seed of answers that stand at other rows: a change of the places of the rows, longest first."""

    def prepare(project: Project, patch: Patch) -> None:
        from engine.runtime.scoring.label_scoring import choose as real

        def choose(loaded: Any, prompts: Any, *given: Any, **named: Any) -> Any:
            found = real(loaded, prompts, *given, **named)
            order = sorted(range(len(prompts)), key=lambda at: -len(prompts[at]))
            return [found[at] for at in change(order)]

        patch.setattr("engine.runtime.scoring.label_scoring.choose", choose)
        # Something is learned, and too few validation rows say so for another look to see it.
        learns: dict[str, Any] = {"method__epochs": 6, "method__learning_rate": 1e-2}
        project.edit(splits__validation=8, baselines=["majority"], **learns)

    return in_evaluate(prepare, "X820")


def in_scoring(change: Callable[[list[int]], object]) -> Seed:
    """Return a seed of what answers see of their rows when a model is asked: a change of their slots."""

    def prepare(project: Project, patch: Patch) -> None:
        from engine.runtime.scoring.packed_cache import Piece

        def piece(**fields: Any) -> Any:
            if fields["seen"]:
                change(fields["seen"])
            return Piece(**fields)

        patch.setattr("engine.runtime.scoring.label_scoring.Piece", piece)
        project.edit(baselines=["majority", "zero_shot"])

    return Seed(prepare=prepare, code="X803")


def twice(count: int) -> Callable[[list[list[str]]], object]:
    """Give so many rows the text of a row of the other label."""

    def change(found: list[list[str]]) -> None:
        texts = {label: text for text, label in found}
        for row in found[:count]:
            row[0] = next(text for label, text in texts.items() if label != row[1])

    return change


def few_of(label: str, left: int) -> Callable[[list[list[str]]], object]:
    """Give all but some rows of a label the other one."""

    def change(found: list[list[str]]) -> None:
        other = next(one[1] for one in found if one[1] != label)
        for row in [one for one in found if one[1] == label][left:]:
            row[1] = other

    return change


def labelled(*labels: str) -> Prepare:
    """Give rows and recipe other labels, in the order of the alphabet."""
    names = dict(zip(("negative", "positive"), labels, strict=True))

    def rename(found: list[list[str]]) -> None:
        for row in found:
            row[1] = names[row[1]]

    return both(recipe(task__labels=list(labels)), rows(rename))


def noted(prepare: Prepare, code: str, until: str = "compile") -> Seed:
    """Return a seed that is counted and shown."""
    return Seed(prepare=prepare, code=code, until=until, is_note=True)
