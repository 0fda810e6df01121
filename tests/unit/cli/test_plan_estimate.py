"""What the plan says of time, memory, disk and cost."""

import json
from pathlib import Path

import pytest

from engine.cli.main import main
from engine.cli.plan_facts import estimate_lines
from engine.estimate.devices import Price
from engine.estimate.run import Forecast, StageForecast
from engine.estimate.training import TrainingEstimate
from engine.values import replace
from support.estimates import CPU, recipe_in


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    recipe_in(tmp_path)
    return tmp_path


def planned(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = main(["plan", str(folder / "recipe.yaml"), "--store", str(folder / "store"), *words])
    assert code == 0
    return capsys.readouterr().out


def test_the_train_line_says_time_memory_and_steps(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = planned(project, capsys)
    (train,) = [line for line in out.splitlines() if line.startswith("  train ")]

    assert "~" in train
    assert "GB · 200 steps" in train
    assert "training estimated, not measured" in " ".join(out.split())


def test_the_json_has_numbers_and_their_reasons(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(planned(project, capsys, "--format", "json"))["estimate"]

    assert found["steps"] == 200
    assert found["memory_bytes"] > 10**9
    assert found["basis"] == "computed"
    assert [one["what"] for one in found["derived"]] == [
        "rows",
        "steps",
        "parameters",
        "memory",
        "time",
        "disk",
    ]


def test_a_named_device_is_what_is_estimated(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(planned(project, capsys, "--device", "l4", "--format", "json"))["estimate"]

    assert (
        found["device"], found["device_memory_bytes"], found["fits"],
    ) == ("l4", 24 << 30, True)  # fmt: skip
    assert found["memory_bytes"] < 10**9  # what torch allocates on a GPU, without the process


def test_explain_says_how_each_number_was_derived(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short, long = planned(project, capsys), planned(project, capsys, "--explain")

    assert "config.json: 2 layers of 64" not in short
    assert "config.json: 2 layers of 64" in " ".join(long.split())


def test_a_cost_stands_on_the_users_price(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = project / "mine.yaml"
    prices.write_text("currency: EUR\ncpu: 36\n", encoding="utf-8")
    words = ("--prices", str(prices))
    found = json.loads(planned(project, capsys, *words, "--format", "json"))["estimate"]

    assert found["seconds"] / 100 == pytest.approx(found["cost"], abs=0.002)
    assert "EUR at 36 EUR an hour (cpu in mine.yaml)" in " ".join(
        planned(project, capsys, *words).split()
    )


def test_a_file_of_prices_without_the_device_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "mine.yaml").write_text("rtx-4090: 1\n", encoding="utf-8")

    found = planned(project, capsys, "--prices", str(project / "mine.yaml"))

    assert "mine.yaml has none for " in " ".join(found.split())


def test_without_a_price_no_cost_is_reported(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(planned(project, capsys, "--format", "json"))["estimate"]["cost"] is None


def test_an_unknown_device_is_a_mistake_of_usage(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["plan", str(project / "recipe.yaml"), "--device", "rtx-9999"])

    assert code == 2
    assert "R040" in capsys.readouterr().err


def test_a_layer_that_the_base_model_does_not_have_is_refused_as_by_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe_in(tmp_path, layers=[0, 2], ranks={"q_prj": 4})
    words = [str(tmp_path / "recipe.yaml"), "--store", str(tmp_path / "store")]

    codes = [main([verb, *words]) for verb in ("plan", "run")]

    shown = capsys.readouterr().err
    assert codes[0] == codes[1] != 0
    # Modules are known of weights, and here is a config only.
    assert shown.count("X730") == 2
    assert not list((tmp_path / "store").glob("store/*/*"))


def test_stages_whose_time_is_not_known_are_named_whether_or_not_others_are(
    tmp_path: Path,
) -> None:
    recipe = recipe_in(tmp_path)
    stages = {"data": StageForecast(), "verify": StageForecast()}
    none = Forecast(device=CPU, training=TrainingEstimate(), recipe=recipe, stages=stages)
    some = replace(none, stages={**stages, "train": StageForecast(seconds=60.0)})

    euros = Price(an_hour=3.0, currency="EUR", source="prices.yaml")
    costly, every = (
        replace(some, price=euros),
        replace(some, stages={"train": some.stages["train"]}),
    )

    [priced] = [text for name, text in estimate_lines(costly, explain=False) if name == "in all"]
    [total] = [text for name, text in estimate_lines(none, explain=False) if name == "in all"]
    [timed] = [text for name, text in estimate_lines(some, explain=False) if name == "in all"]

    assert total == "no time is known of data, verify"
    assert timed == "at least 1 min: no time is known of data, verify"
    assert "at least 0.05 EUR at 3" in priced
    [whole] = [text for name, text in estimate_lines(every, explain=False) if name == "in all"]
    assert whole == "~1 min"
