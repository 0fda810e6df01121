"""The same lock, the same bytes: both backends, killed or not, on fewer cores; and the quickstart whole."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pico import make_pico_model
from project import BASE, rows

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "engine"]


def command(folder: Path, *words: str, before: tuple[str, ...] = (), seed: str = "0") -> Any:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    return subprocess.run(
        [*before, *COMMAND, *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def latest(folder: Path) -> dict[str, Any]:
    """The report of the latest run."""
    runs = sorted((folder / ".recipe" / "runs").glob("*/*/report.json"))
    found: dict[str, Any] = json.loads(runs[-1].read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module", params=["trl", "axolotl"])
def accepted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project whose run was accepted with a backend."""
    folder = tmp_path_factory.mktemp(request.param)
    make_pico_model(folder / "base")
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows(140)])
    changes = {
        "backend": {"name": request.param, "precision": "auto"},
        "export": {"formats": ["safetensors", "gguf"]},
        "baselines": ["majority"],
    }
    text = yaml.safe_dump({**BASE, **changes}, sort_keys=False)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    result = command(folder, "run", "recipe.yaml", seed="1")
    assert result.returncode == 0, result.stderr + result.stdout
    return folder


@pytest.fixture
def again(accepted: Path, tmp_path: Path) -> Path:
    """The same project without its store."""
    without = shutil.ignore_patterns(".recipe")
    return Path(shutil.copytree(accepted, tmp_path / "again", ignore=without))


def test_another_process_on_fewer_cores_gives_the_same_bytes(again: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    pinned = ("taskset", "-c", str(cores[0])) if shutil.which("taskset") else ()

    result = command(again, "run", "recipe.yaml", "--frozen", before=pinned, seed="2")

    assert result.returncode == 0, result.stderr + result.stdout
    found = latest(again)
    assert found["reproduction"]["verdict"] == "reproduced exactly"
    locked = json.loads((again / "recipe.lock.json").read_text("utf-8"))["accepted"]
    assert found["training"]["threads"] == locked["threads"] == len(cores)


def test_a_killed_and_continued_run_gives_the_same_bytes(again: Path) -> None:
    """SIGKILL once a checkpoint is there, then the same command again."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "3"}
    process = subprocess.Popen(
        [*COMMAND, "run", "recipe.yaml"],
        cwd=again, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not has_checkpoint(again):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    result = command(again, "run", "recipe.yaml", seed="4")

    assert result.returncode == 0, result.stderr + result.stdout
    found = latest(again)
    assert found["training"]["resumed_from_step"]
    assert found["reproduction"]["verdict"] == "reproduced exactly"


def has_checkpoint(folder: Path) -> bool:
    """A whole checkpoint of the training stands in the scratch folder."""
    return any((folder / ".recipe" / "scratch").glob("*/output/checkpoint-*/trainer_state.json"))


QUICKSTART = "recipes/quickstart.yaml"


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the quickstart, accepted, and the rows it is made from as a file of its own."""
    folder = tmp_path_factory.mktemp("quickstart")
    shutil.copyfile(ROOT / QUICKSTART, folder / "recipe.yaml")
    result = command(folder, "run", "recipe.yaml")
    assert result.returncode == 0, result.stderr + result.stdout[-3000:]
    return folder


def test_the_quickstart_without_its_store_is_reproduced_exactly(quickstart: Path) -> None:
    shutil.rmtree(quickstart / ".recipe")

    result = command(quickstart, "run", "recipe.yaml", "--frozen")

    assert result.returncode == 0, result.stderr + result.stdout[-3000:]
    assert "reproduced exactly" in result.stdout


def test_the_quickstart_with_another_seed_is_judged_by_its_numbers(quickstart: Path) -> None:
    path = quickstart / "recipe.yaml"
    fields = yaml.safe_load(path.read_text("utf-8"))
    fields["method"]["seed"] = 8
    text = path.read_text("utf-8")
    path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")

    result = command(quickstart, "run", "recipe.yaml")
    path.write_text(text, encoding="utf-8")

    found = latest(quickstart)["reproduction"]
    assert found["verdict"] in ("reproduced within noise", "not reproduced"), result.stderr
    assert all(test["margin"] for test in found["equivalence"])


def test_the_quickstart_with_one_changed_row_is_refused_and_the_row_named(quickstart: Path) -> None:
    """The rows as a local file: a package is pinned, and cannot be changed unseen."""
    archive = next((quickstart / ".recipe" / "store").glob("*/*/files/*.tar.gz"), None)
    source = next((quickstart / ".recipe" / "store").rglob("*movieReviewSnippets*"), archive)
    assert source is not None
    if source.suffix == ".gz":
        with tarfile.open(source) as opened:
            name = next(n for n in opened.getnames() if "movieReviewSnippets" in n)
            stream = opened.extractfile(name)
            assert stream is not None
            (quickstart / "snippets.tsv").write_bytes(stream.read())
    else:
        shutil.copyfile(source, quickstart / "snippets.tsv")
    fields = yaml.safe_load((quickstart / "recipe.yaml").read_text("utf-8"))
    one = fields["data"]["sources"][0]
    kept = {key: one[key] for key in ("format", "header", "encoding") if key in one}
    fields["data"]["sources"] = [{"path": "snippets.tsv", **kept}]
    (quickstart / "local.yaml").write_text(yaml.safe_dump(fields, sort_keys=False), "utf-8")
    first = command(quickstart, "run", "local.yaml")
    assert first.returncode == 0, first.stderr
    lines = (quickstart / "snippets.tsv").read_bytes().split(b"\n")
    lines[99] = lines[99].rstrip(b"\r") + b" indeed"
    (quickstart / "snippets.tsv").write_bytes(b"\n".join(lines))

    result = command(quickstart, "run", "local.yaml")

    assert result.returncode == 3
    assert "1 row differs, first at snippets.tsv:100" in result.stderr
