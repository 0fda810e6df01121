"""How long a job may run for its money."""

from pathlib import Path

import pytest

from engine.cli.jobs import job_text
from engine.compute.jobs import ClusterJob
from engine.compute.profile import ComputeProfile
from engine.errors import RecipeError


def job(careful_user: Path, prices: str) -> ClusterJob:
    folder = careful_user / "config" / "slm-recipe"
    folder.mkdir(parents=True)
    (folder / "prices.yaml").write_text(prices, encoding="utf-8")
    profile = ComputeProfile(name="spot", engine="skypilot", device="H100:8", max_cost=16.0)
    return ClusterJob(profile=profile, recipe="tickets", words=("t.yaml",), folder="/a", files="/b")


def test_a_bound_of_cost_is_a_bound_of_time_for_all_devices(careful_user: Path) -> None:
    assert "timeout --signal=TERM --kill-after=90 3600 " in job_text(job(careful_user, "h100: 2\n"))


def test_what_costs_nothing_is_never_spent(careful_user: Path) -> None:
    assert "timeout" not in job_text(job(careful_user, "h100: 0\n"))


def test_without_a_price_a_bound_of_cost_is_refused(careful_user: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        job_text(job(careful_user, "a100-80gb: 2\n"))

    assert [problem.code for problem in refused.value.problems] == ["R450"]
