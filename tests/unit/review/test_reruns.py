"""What a change runs again, although no one knows yet which setting is chosen, or which rows a model adds."""

from pathlib import Path

import pytest

from engine.review.findings import review
from engine.review.version import Disk, load_side
from support.paths import EXAMPLES
from support.recipe_pairs import CPU

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
