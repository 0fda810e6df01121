"""The one sentence of a report: it names a quantized file only where one was asked for."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.evidence import Check, Status, Verdict
from engine.pipeline.report import _next_steps, _summary, accepted_steps
from engine.recipe.model import Export, MaxDrop
from engine.values import to_json

BOUNDED: dict[str, Any] = {"max_drops": (MaxDrop(metric="macro_f1", max_drop=0.02),)}


@pytest.mark.parametrize(
    ("form", "bounds", "expected"),
    [
        (
            "safetensors",
            {},
            "tiny meets every threshold, and so does the exported file",
        ),
        (
            "gguf",
            BOUNDED,
            "tiny meets every threshold, and so does the quantized file",
        ),
        (
            "ollama",
            BOUNDED,
            "tiny meets every threshold, and so does the quantized file",
        ),
        (
            "gguf",
            {},
            "tiny meets every threshold, and so does the quantized file",
        ),
    ],
)
def test_an_accepted_run_names_the_file_that_was_evaluated(
    form: Any, bounds: dict[str, Any], expected: str
) -> None:
    export = Export(
        formats=(form,), quantizations=("Q4_K_M",), **{"max_drops": (), "thresholds": (), **bounds}
    )
    recipe = SimpleNamespace(name="tiny", export=export, acceptance=SimpleNamespace(selective=None))
    state: Any = SimpleNamespace(trained=recipe, stop=None, outcome="accepted")

    assert _summary(state) == expected


def check(got: float | None) -> Check:
    return Check(
        name="over_previous.macro_f1",
        status=Status.INCONCLUSIVE,
        got=got,
        direction="max",
        bound=0.01,
        decided_on="upper bound",
        n=300,
    )


@pytest.mark.parametrize(
    ("gots", "expected"),
    [
        ([0.0], "the holdout is too small to decide whether tiny is good enough: why"),
        ([0.0, None], "the holdout is too small to decide whether tiny is good enough: why"),
        # The last accepted model cannot be compared with: no row more would change that.
        ([None], "it cannot be decided whether tiny is good enough: why"),
    ],
)
def test_a_holdout_is_too_small_only_where_more_rows_would_decide(
    gots: list[float | None], expected: str, tmp_path: Path
) -> None:
    verdict = Verdict(status=Status.INCONCLUSIVE, checks=tuple(map(check, gots)))
    (tmp_path / "verdict.json").write_text(json.dumps(to_json(verdict)), "utf-8")
    gate = SimpleNamespace(file=lambda name: tmp_path / name)
    state: Any = SimpleNamespace(
        trained=SimpleNamespace(name="tiny"),
        stop=SimpleNamespace(why="why"),
        outcome="inconclusive",
        artifacts={"gate": gate},
    )

    assert _summary(state) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            "gguf",
            (
                'recipe try tiny "…"',
                "recipe report tiny --open",
                "recipe serve tiny",
                "recipe publish tiny --to hub --name OWNER/tiny",
            ),
        ),
        # R006: it asks a GGUF file
        ("safetensors", ("recipe report tiny --open",)),
        ("onnx", ("recipe report tiny --open",)),
    ],
)
def test_a_model_without_a_file_for_llama_cpp_is_not_to_be_tried(
    form: Any, expected: tuple[str, ...]
) -> None:
    export = Export(formats=(form,), quantizations=("Q4_K_M",), max_drops=(), thresholds=())
    recipe: Any = SimpleNamespace(name="tiny", export=export)

    assert accepted_steps(recipe) == expected


def test_a_hint_that_many_problems_share_is_one_step() -> None:
    hints = ("add rows", "add rows", None, "enlarge the split", "add rows")
    problems = [SimpleNamespace(hint=hint) for hint in hints]
    state: Any = SimpleNamespace(
        trained=SimpleNamespace(name="tiny"),
        outcome="failed",
        error=SimpleNamespace(problems=problems),
    )

    assert _next_steps(state, "tiny.yaml", None) == (
        "add rows",
        "enlarge the split",
        "recipe run tiny.yaml",
    )
