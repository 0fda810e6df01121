"""What a check is about is read from its name, in one place."""

import pytest

from engine.evidence import Check, Status


def check(name: str) -> Check:
    return Check(
        name=name,
        status=Status.PASS,
        got=1.0,
        direction="min",
        bound=0.5,
        decided_on="point",
        n=10,
    )


@pytest.mark.parametrize(
    ("name", "kind", "metric", "label"),
    [
        ("macro_f1", "threshold", "macro_f1", ""),
        ("f1.billing.late", "threshold", "f1.billing.late", "billing.late"),
        ("agreement", "threshold", "agreement", ""),
        ("over_baselines.f1.billing", "over_baselines", "f1.billing", "billing"),
        ("over_previous.macro_f1", "over_previous", "macro_f1", ""),
        ("drop.accuracy", "drop", "accuracy", ""),
        ("parity.merged", "parity", "", "merged"),
        ("largest_shift.Q4_K_M", "largest_shift", "", "Q4_K_M"),
        ("token_parity", "token_parity", "", ""),
        ("token_parity.ollama", "token_parity", "", "ollama"),
        ("overfitting", "overfitting", "", ""),
        ("onnx.macro_f1", "threshold", "macro_f1", ""),
        ("openvino.over_baselines.macro_f1", "over_baselines", "macro_f1", ""),
    ],
)
def test_a_check_has_a_kind_a_metric_and_a_label(
    name: str, kind: str, metric: str, label: str
) -> None:
    found = check(name)

    assert (found.kind, found.metric, found.label) == (kind, metric, label)
