"""Which run a name means, and which one has what the latest has not."""

from pathlib import Path

import pytest

from engine.errors import RecipeError
from engine.runs.stored_run import exported_gguf
from engine.store.records import Runs


def made(store: Path, name: str, *files: str) -> Path:
    run = store / "runs" / "tickets" / name
    run.mkdir(parents=True)
    for file in files:
        (run / file).write_bytes(b"x")
    Runs(store).record(run, {"recipe": "tickets"})
    return run


@pytest.mark.parametrize(
    ("before", "hint"),
    [
        (("model.gguf",), "an earlier run did: name it as tickets/2026-01-02"),
        ((), "only accepted runs"),
    ],
)
def test_of_a_run_without_a_model_the_one_before_that_has_one_is_named(
    tmp_path: Path, before: tuple[str, ...], hint: str
) -> None:
    made(tmp_path, "2026-01-01", *before)
    made(tmp_path, "2026-01-02", *before)
    latest = made(tmp_path, "2026-01-03")
    made(tmp_path, "2026-01-04", "model.gguf")

    with pytest.raises(RecipeError) as caught:
        exported_gguf(latest)

    (problem,) = caught.value.problems
    assert (problem.code, (problem.hint or "").startswith(hint)) == ("R006", True)
