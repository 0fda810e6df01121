"""The benchmark of results with the engine itself: a set is written, run, and shown."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from support.project import Outcome
from support.results import made_case

# after `support.results`, which says where they are
import results  # isort: skip
import results_cases  # isort: skip
from results_cases import Settings  # isort: skip
from results_page import page  # isort: skip
from results_reports import collect  # isort: skip
from results_rows import Sources  # isort: skip

pytestmark = pytest.mark.thorough


def test_a_set_is_run_by_the_engine_and_shown(
    tmp_path: Path,
    pico: Path,
    run: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # an encoder would be fetched
    monkeypatch.setattr(results_cases, "WANTED", ("majority", "tfidf_svm", "zero_shot"))
    # digests, so that no two rows are nearly the same
    case = made_case(
        read=lambda _: [
            {"text": f"{'good' if at % 2 else 'bad'} {sha256(bytes([at])).hexdigest()}", "label": "ab"[at % 2]}
            for at in range(60)
        ],
        sizes=(24, 8, 16),
    )  # fmt: skip
    runner = results.Runner(
        sources=Sources(data=tmp_path, packages=tmp_path / "packages"),
        settings=Settings(base={"path": str(pico)}, backend={"name": "trl", "precision": "fp32"}),
        command=in_process(run),
    )
    job = results.Job(case=case, seed=1, work=tmp_path / "work")

    outcome = runner.run(job, tmp_path / "store")

    assert outcome == "refused"
    assert not list((tmp_path / "store" / "store").glob("*/*"))
    (line,) = collect(tmp_path / "work", [case]).lines
    assert line.rows == {"train": 24, "validation": 8, "holdout": 16}
    assert line.means.scores["tuned"].mean is not None
    assert line.means.scores["tfidf_svm"].mean == 1.0
    assert "over_baselines.macro_f1" in line.runs[0].reason
    # a made-up model does not come near what is always asked
    assert line.means.scores["Q8_0"].missing[0].startswith("no file was made: `")
    assert "made_up: Made-up rows" in page(collect(tmp_path / "work", [case]))
    # the defaults stand there as they were worked out
    settings = line.runs[0].settings
    assert (settings["seed"], settings["rank"]) == (1, 16)


def in_process(run: Callable[..., Outcome]) -> results.Command:
    def command(words: Sequence[str], folder: Path) -> tuple[int, str]:
        del folder
        outcome = run(*words)
        return outcome.code, outcome.err

    return command
