"""What a run says of its own training: real runs of a tiny model that learns too little, or enough."""

from typing import Any

import pytest
import yaml

from support.project import Outcome, Project
from support.runs import report

pytestmark = [
    pytest.mark.thorough,  # two whole trainings
    pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning"),
]


def refused(project: Project, **changes: Any) -> tuple[Outcome, dict[str, Any]]:
    project.edit(
        baselines=["majority"],
        splits__validation=40,
        acceptance__metrics={"macro_f1": {"min": 0.9}},
        **changes,
    )
    outcome = project.run("run", str(project.recipe), "--until", "gate")
    assert outcome.code == 1, outcome.err
    return outcome, report(project.folder / ".recipe")


def test_one_epoch_at_a_tiny_rate_ends_with_the_edit_to_paste(project: Project) -> None:
    outcome, found = refused(project, method__epochs=1, method__learning_rate=1e-6)

    assert found["diagnosis"]["fit"] == "underfitted"
    assert "diagnosis: underfitted: macro_f1 is 0.3" in outcome.out
    assert "edit     method: {learning_rate: 0.001, epochs: 10}\n" in outcome.out
    assert found["next_steps"][0] == (
        "change method.learning_rate from 0.000001 to 0.001, method.epochs from 1 to 10"
    )
    assert not any("more rows" in step for step in found["next_steps"])

    edit = yaml.safe_load(found["diagnosis"]["yaml"])["method"]
    project.edit(**{f"method__{key}": value for key, value in edit.items()})
    assert project.run("validate", str(project.recipe)).code == 0


def test_a_model_that_learned_its_rows_is_not_called_underfitted(project: Project) -> None:
    _, found = refused(project, method__epochs=8, method__learning_rate=1e-2, method__rank=16)

    train = next(one for one in found["train_scores"]["metrics"] if one["name"] == "macro_f1")
    assert train["interval"]["high"] > 0.9
    reasons = found["diagnosis"]["reasons"]
    assert found["diagnosis"]["fit"] != "not_known"
    # Freely decoded, so small a model gives no answers of the form.
    assert "when decoding is free" in reasons[0] or found["diagnosis"]["fit"] == "fits"
