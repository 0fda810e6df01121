"""The plan's words: how rows will be divided, and what the exported file will be."""

import json
from pathlib import Path

import pytest
import yaml

from engine.cli.main import main
from engine.cli.plan_facts import estimate_lines
from engine.estimate.devices import Price
from engine.estimate.run import Forecast, StageForecast
from engine.estimate.training import TrainingEstimate
from engine.values import replace
from support.estimates import CPU, recipe_in

SIZES: dict[str, object] = {"train": 20, "validation": 5, "holdout": 15}
COLUMNS = "text,topic,customer,when,split"
ROWS = [
    f"text {n},{('bug', 'login')[n % 2]},c{n % 5},2024-01-0{n % 9 + 1},train" for n in range(40)
]


def planned(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    splits: dict[str, object],
    *formats: str,
    backend: str = "axolotl",
) -> list[str]:
    (folder / "rows.csv").write_text("\n".join([COLUMNS, *ROWS]), encoding="utf-8")
    recipe = {
        "recipe": "v1",
        "name": "t",
        "allow_moving": True,
        "task": {"kind": "classification", "instruction": "?", "labels": ["bug", "login"]},
        "base_model": {"hub": "owner/model"},
        "data": {"sources": [{"path": "rows.csv"}], "label": {"column": "topic"}},
        "splits": splits,
        "method": {"kind": "lora"},
        "acceptance": {"metrics": {"macro_f1": {"min": 0.5}}},
        "export": {"formats": [*formats]},
        "backend": {"name": backend},
    }
    (folder / "t.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert main(["plan", str(folder / "t.yaml"), "--store", str(folder / "store")]) == 0
    return capsys.readouterr().out.splitlines()


def power_lines(lines: list[str]) -> str:
    first = next(at for at, line in enumerate(lines) if line.startswith("  power"))
    return " ".join(" ".join(lines[first:]).split())


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": 20, "validation": 5, "holdout": 15}, "20 train / 5 validation / 15 holdout"),
        (
            {"by": {"group": "customer"}, "validation": 5, "holdout": 15},
            "the rest train / 5 validation / 15 holdout by group customer",
        ),
        ({"by": {"column": "split"}}, "train / validation / holdout by column split"),
        (
            {"by": {"column": "split"}, "validation": 5},
            "train / 5 validation / holdout by column split",
        ),
    ],
)
def test_the_title_says_how_rows_are_divided(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    splits: dict[str, object],
    expected: str,
) -> None:
    title = planned(tmp_path, capsys, splits, "gguf")[0]

    assert title.split(" · ")[2] == expected


@pytest.mark.parametrize(("form", "cost"), [("gguf", "Q4_K_M"), ("safetensors", "wait")])
def test_only_a_quantized_file_has_a_quantization(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, cost: str
) -> None:
    lines = planned(tmp_path, capsys, {"train": 20, "validation": 5, "holdout": 15}, form)

    [quantize] = [line for line in lines if line.startswith("  quantize")]
    assert quantize.split()[-1] == cost


def test_what_the_holdout_can_show_is_reported_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = planned(tmp_path, capsys, {"train": 20, "validation": 5, "holdout": 15}, "gguf")

    assert power_lines(lines).startswith(
        "power macro_f1 `min 0.50 (lower bound)` on 15 holdout rows: power 0.80 at a true macro_f1 of 0.843, "
        "0.04 at 0.55; 790 holdout rows give power 0.80. Estimates, where classes are equally good and equally large."
    )


def test_rows_that_are_not_counted_yet_show_nothing_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits: dict[str, object] = {"train": 0.6, "validation": 0.2, "holdout": 0.2}

    lines = planned(tmp_path, capsys, splits, "gguf")

    assert power_lines(lines).startswith(
        "power What the holdout can show is known after data: its rows are not counted yet."
    )


def test_the_json_plan_holds_the_same_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys, {"train": 20, "validation": 5, "holdout": 15}, "gguf")
    options = ["--store", str(tmp_path / "store"), "--format", "json"]

    assert main(["plan", str(tmp_path / "t.yaml"), *options]) == 0

    plan = json.loads(capsys.readouterr().out)
    power = plan["power"]
    assert "on 15 holdout rows: power 0.80" in power[0]
    assert power[-1] == "Estimates, where classes are equally good and equally large."
    [estimate] = plan["power_estimates"]
    assert estimate["metric"] == "macro_f1"
    assert estimate["threshold"] == "min 0.50"
    assert estimate["decided_on"] == "lower bound"
    assert estimate["rows"] == 15
    assert estimate["note"] == ""


def test_it_says_that_unsloth_has_no_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNSLOTH_PYTHON", raising=False)
    found = " ".join(" ".join(planned(tmp_path, capsys, SIZES, "gguf", backend="unsloth")).split())

    assert "Unsloth has no environment here: UNSLOTH_PYTHON names no Python" in found


# What the plan says of time, memory, disk and cost.
@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    recipe_in(tmp_path)
    return tmp_path


def planned_of_plan_estimate(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = main(["plan", str(folder / "recipe.yaml"), "--store", str(folder / "store"), *words])
    assert code == 0
    return capsys.readouterr().out


def test_the_json_has_numbers_and_their_reasons(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(planned_of_plan_estimate(project, capsys, "--format", "json"))["estimate"]

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
    found = json.loads(
        planned_of_plan_estimate(project, capsys, "--device", "l4", "--format", "json")
    )["estimate"]

    assert (
        found["device"], found["device_memory_bytes"], found["fits"],
    ) == ("l4", 24 << 30, True)  # fmt: skip
    assert found["memory_bytes"] < 10**9  # what torch allocates on a GPU, without the process


def test_explain_says_how_each_number_was_derived(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short, long = (
        planned_of_plan_estimate(project, capsys),
        planned_of_plan_estimate(project, capsys, "--explain"),
    )

    assert "config.json: 2 layers of 64" not in short
    assert "config.json: 2 layers of 64" in " ".join(long.split())


def test_a_cost_stands_on_the_users_price(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = project / "mine.yaml"
    prices.write_text("currency: EUR\ncpu: 36\n", encoding="utf-8")
    words = ("--prices", str(prices))
    found = json.loads(planned_of_plan_estimate(project, capsys, *words, "--format", "json"))[
        "estimate"
    ]

    assert found["seconds"] / 100 == pytest.approx(found["cost"], abs=0.002)
    assert "EUR at 36 EUR an hour (cpu in mine.yaml)" in " ".join(
        planned_of_plan_estimate(project, capsys, *words).split()
    )


def test_a_file_of_prices_without_the_device_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "mine.yaml").write_text("rtx-4090: 1\n", encoding="utf-8")

    found = planned_of_plan_estimate(project, capsys, "--prices", str(project / "mine.yaml"))

    assert "mine.yaml has none for " in " ".join(found.split())


def test_without_a_price_no_cost_is_reported(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        json.loads(planned_of_plan_estimate(project, capsys, "--format", "json"))["estimate"][
            "cost"
        ]
        is None
    )


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
