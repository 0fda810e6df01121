"""Texts of the holdout in the prompt, by the rows or by the hashes of a lock; other words in it are no finding."""

import random
from pathlib import Path

import pytest

from engine.lock.file import lock_path, write_lock
from engine.recipe import load_recipe
from engine.review.findings import review
from engine.review.row_changes import RowDivider
from engine.review.version import Disk, load_side
from support.changed_data import version
from support.judged_pairs import judges
from support.paths import EXAMPLES
from support.recipe_pairs import CPU, made_lock


def written(folder: Path, instruction: str, *, way: str = "random shares") -> Path:
    made = version(way, random.Random(5))
    made.recipe["task"]["instruction"] = instruction
    return made.write(folder)


ASKS = "Which topic is this ticket about: {labels}?"


def texts(folder: Path) -> list[str]:
    found = judges(load_side(folder / "tickets.yaml", Disk(), label="now"))
    assert found is not None
    return sorted(found)


def codes(old: Path, new: Path, folder: Path, rows: RowDivider | None = None) -> list[str]:
    sides = [load_side(path, Disk(), label=path.parent.name) for path in (old, new)]
    result = review(*sides, device=CPU, rows=rows)
    return [f"{one.code} {one.path}: {one.says}" for one in result.findings]


@pytest.mark.parametrize(
    ("quote", "rows"),
    [
        ("Example: {0} -> bug", 1),
        ("Some of them:\n{0}\n{1}", 2),
        ('The ticket "{0}!" is about a bug.', 1),
    ],
)
def test_rows_that_judge_are_found_in_the_prompt(quote: str, rows: int, tmp_path: Path) -> None:
    old = written(tmp_path / "old", ASKS)
    quoted = quote.format(*texts(tmp_path / "old"))
    new = written(tmp_path / "new", f"{ASKS} {quoted}")

    assert [one.split(":")[0] for one in codes(old, new, tmp_path)] == ["W211 task.instruction"]
    assert f"{rows} row" in codes(old, new, tmp_path)[0]


def test_other_words_in_the_prompt_are_no_finding(tmp_path: Path) -> None:
    old = written(tmp_path / "old", ASKS)
    new = written(tmp_path / "new", f"{ASKS} An example: invoice kiosk 1234 is about billing.")

    assert codes(old, new, tmp_path) == []


def test_a_lock_tells_rows_that_are_not_here(tmp_path: Path) -> None:
    old = written(tmp_path / "old", ASKS)
    new = written(tmp_path / "new", f"{ASKS}\n{texts(tmp_path / 'old')[0]}")
    lock = made_lock(load_recipe(old)[0])
    for path in (old, new):
        write_lock(lock_path(path), lock)

    found = codes(old, new, tmp_path, RowDivider(room=0))

    assert [one.split(":")[0] for one in found] == ["W211 task.instruction"]


# What a change runs again, although no one knows yet which setting is chosen, or which rows a model adds.
VALID = EXAMPLES / "valid"
AFTER = ("compile", "train", "evaluate", "gate", "merge", "quantize", "verify", "report")


def reruns(
    folder: Path, edits: list[tuple[str, str]], recipe: str = "sweep.yaml"
) -> tuple[str, ...]:
    text = (VALID / recipe).read_text("utf-8")
    sides = []
    assert all(before in text for before, _ in edits)
    for name in ("old", "new"):
        path = folder / name / "recipes" / "recipe.yaml"
        path.parent.mkdir(parents=True)
        (folder / name / "data").symlink_to(VALID.parent / "data")
        path.write_text(text, "utf-8")
        sides.append(load_side(path, Disk(), label=name))
        for before, after in edits:
            text = text.replace(before, after)
    return review(*sides, device=CPU).reruns


def test_another_bound_judges_again(tmp_path: Path) -> None:
    assert reruns(tmp_path, [("{min: 0.80}", "{min: 0.90}")])[:1] == ("gate",)


def test_another_setting_may_be_chosen(tmp_path: Path) -> None:
    assert reruns(tmp_path, [("rank: 8,", "rank: 4,")]) == ("sweep", *AFTER)


def test_a_sweep_that_goes_leaves_another_method(tmp_path: Path) -> None:
    text = (VALID / "sweep.yaml").read_text("utf-8")
    section = text[text.index("sweep:") : text.index("acceptance:")]

    assert reruns(tmp_path, [(section, "")]) == AFTER


def test_what_changes_nothing_runs_nothing(tmp_path: Path) -> None:
    described = "name: tickets\ndescription: of the help desk"

    assert reruns(tmp_path, [("name: tickets", described)]) == ()


@pytest.mark.parametrize(
    ("recipe", "edit", "first"),
    [
        ("synthesis.yaml", ("min: 0.6}", "min: 0.7}"), "gate"),
        ("synthesis.yaml", ("kind: lora", "kind: lora, epochs: 9"), "compile"),
        ("synthesis.yaml", ("max_share: 0.4", "max_share: 0.3"), "synthesize"),
        ("soft_targets.yaml", ("min: 0.5", "min: 0.6"), "gate"),
        ("soft_targets.yaml", ("targets: soft", "targets: soft\n  weight: 0.7"), "compile"),
    ],
)
def test_rows_that_a_model_adds_hide_nothing(
    recipe: str, edit: tuple[str, str], first: str, tmp_path: Path
) -> None:
    found = reruns(tmp_path, [edit], recipe)

    assert found[0] == first
    assert found[-1] == "report"
    assert "gate" in found
