"""What a sweep leaves for the training of its winner, and how it is cleared."""

from pathlib import Path

from engine.training.trials import discard


def test_weights_are_discarded_where_a_kill_has_left_half_of_those_before_them(
    tmp_path: Path,
) -> None:
    folder, half = tmp_path / "weights", tmp_path / "weights.gone"
    for one in (folder, half):
        (one / "result").mkdir(parents=True)

    discard(folder)

    assert [*tmp_path.iterdir()] == []
