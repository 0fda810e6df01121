"""The quickstart rebuilt from its lock, with its real model. Three trainings, so only where it is asked for:

RECIPE_LONG=1 pytest -m slow -p no:randomly tests/slow/test_rebuilt_quickstart.py
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "RECIPE_LONG" not in os.environ, reason="takes three trainings: RECIPE_LONG=1"
    ),
]


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "engine", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def latest(folder: Path) -> dict[str, Any]:
    """The report of the latest run."""
    runs = sorted((folder / ".recipe" / "runs").glob("*/*/report.json"))
    found: dict[str, Any] = json.loads(runs[-1].read_text(encoding="utf-8"))
    return found


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
