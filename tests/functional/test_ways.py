"""The benchmark of ways with the engine itself: one tiny task by some ways, run once, tabled and shown."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from support.project import Outcome
from support.results import made_case

# after `support.results`, which says where they are
import ways  # isort: skip
from results_cases import Settings  # isort: skip
from results_page import page  # isort: skip
from results_rows import Sources  # isort: skip
from results_table import Results  # isort: skip
from ways_recipes import WAYS, Sizes  # isort: skip
from ways_table import collect, read_table, write_table  # isort: skip

pytestmark = pytest.mark.thorough

SIZES = Sizes(
    gold=24, validation=8, holdout=24, tuning=24, pool=16, synthetic=2, timed=8, steps=3, batch=8
)
# digests, so that no two rows are nearly the same
CASE = made_case(
    read=lambda _: [
        {"text": f"{'good' if at % 2 else 'bad'} {sha256(bytes([at])).hexdigest()}", "label": "ab"[at % 2]}
        for at in range(140)
    ]
)  # fmt: skip


def test_ways_are_run_once_and_tabled(
    tmp_path: Path, pico: Path, run: Callable[..., Outcome]
) -> None:
    asked: list[str] = []

    def command(words: Sequence[str], folder: Path) -> tuple[int, str]:
        del folder
        asked.append(Path(words[1]).stem)
        outcome = run(*words)
        return outcome.code, outcome.err

    work = tmp_path / "work"
    runner = ways.WayRunner(
        folder=work,
        case=CASE,
        sources=Sources(data=tmp_path, packages=tmp_path / "packages"),
        settings=Settings(base={"path": str(pico)}, backend={"name": "trl", "precision": "fp32"}),
        sizes=SIZES,
        command=command,
        commit="abc",
    )
    # a model of two layers has no third one
    chosen = [
        replace(way, base={**way.base, "keep_layers": {"first": 1}}) if way.base else way
        for way in WAYS
        if way.name in ("lora", "teacher", "distilled-answers", "fewer-layers")
    ]

    assert runner.run(chosen) == 0
    first = list(asked)
    assert runner.run(chosen) == 0
    assert first == [*(way.name for way in chosen), "speed"]
    assert asked == first

    found = collect(work, store=runner.store, case=CASE, sizes=SIZES)
    lines = {line.name: line for line in found.lines}
    assert lines["synthetic"].problem == "not run"
    for name in ("zero_shot", "few_shot", *(way.name for way in chosen)):
        assert lines[name].score.mean is not None, name
        assert lines[name].rows_a_second, name
    assert lines["lora"].gain.mean is None
    assert lines["lora"].rows == SIZES.gold
    gain = (lines["zero_shot"].score.mean or 0) - (lines["lora"].score.mean or 0)
    assert lines["zero_shot"].gain.mean == pytest.approx(gain)
    fewer, whole = lines["fewer-layers"].parameters, lines["lora"].parameters
    assert fewer is not None
    assert whole is not None
    assert fewer < whole
    assert lines["tfidf_svm"].score.mean == 1.0
    assert lines["tfidf_svm_teacher_rows"].score.mean is not None
    assert found.labels is not None
    assert found.labels.asked == SIZES.pool

    write_table(found, tmp_path)
    shown = page(Results(), read_table(tmp_path / "ways.json"))
    assert "## One task by every way" in shown
    assert "| LoRA on the labelled rows | 24 |" in shown
    assert "not run" in shown
