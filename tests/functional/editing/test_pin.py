"""`recipe pin` against stand-ins of the hub and of a package index, by the libraries that ask the real ones."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.thorough

MODEL, ROWS = "a" * 40, "b" * 40
WHEEL, SDIST = b"the wheel", b"the sdist"
RECIPE = """\
# Mine.
recipe: v1
name: x
task: {kind: classification, instruction: "good or bad?", labels: [good, bad]}
base_model:
  hub: me/model   # small
data:
  sources:
    # local rows
    - path: rows.csv
      weight: 2
    - {hub: me/rows, split: train}
    - package: toy==1.0
      file: toy-1.0/rows.csv
    - package: toy==1.0
      file: toy/rows.csv
  label: {column: label}
splits: {train: 10, validation: 5, holdout: 300}
baselines: [majority, {model: {name: big, path: big}}]
method: {kind: lora}
acceptance: {metrics: {macro_f1: {min: 0.5}}}
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class StandIn(BaseHTTPRequestHandler):
    """The hub's `api/models` and `api/datasets`, and an index with one package."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        files = [
            {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256(content)}}
            for name, content in (
                ("toy-1.0-py3-none-any.whl", WHEEL),
                ("toy-1.0.tar.gz", SDIST),
                ("toy-1.1.tar.gz", b"newer"),
            )
        ]
        answers: dict[str, Any] = {
            "/api/models/me/model": {"id": "me/model", "sha": MODEL},
            "/api/datasets/me/rows": {"id": "me/rows", "sha": ROWS},
            "/index/toy/": {"meta": {"api-version": "1.0"}, "name": "toy", "files": files},
        }
        body = json.dumps(answers.get(path, {"error": "Repository not found"})).encode()
        self.send_response(200 if path in answers else 404)
        kind = "application/vnd.pypi.simple.v1+json" if "/index/" in path else "application/json"
        for name, value in {
            "Content-Length": str(len(body)),
            "Content-Type": kind,
            **({} if path in answers else {"X-Error-Code": "RepoNotFound"}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    thread.join()
    found.server_close()


@dataclass(frozen=True)
class Folder:
    """A folder with a recipe, and `recipe pin` in a process of its own: the hub's address is read once."""

    path: Path
    root: Path
    server: str

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def value(self) -> Any:
        return yaml.safe_load(self.recipe.read_text(encoding="utf-8"))

    def edit(self, old: str, new: str) -> None:
        text = self.recipe.read_text(encoding="utf-8")
        assert old in text
        self.recipe.write_text(text.replace(old, new), encoding="utf-8")

    def pin(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "HF_HOME": str(self.path / "hf"),
            "HF_ENDPOINT": self.server,
            "PIP_INDEX_URL": f"{self.server}/index",
            "PIP_CONFIG_FILE": "/dev/null",
            "NO_PROXY": "*",
            "PYTHONPATH": str(self.root),
        }
        return subprocess.run(
            [sys.executable, "-m", "engine", "pin", *(words or ("recipe.yaml",))],
            cwd=self.path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, root: Path, server: str) -> Folder:
    found = Folder(path=tmp_path, root=root, server=server)
    found.recipe.write_text(RECIPE, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text,label\nfine,good\n", encoding="utf-8")
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "config.json").write_text("{}", encoding="utf-8")
    return found


def test_everything_is_pinned_in_place_and_nothing_else_is_touched(folder: Folder) -> None:
    rows = sha256((folder.path / "rows.csv").read_bytes())

    done = folder.pin()

    text = folder.recipe.read_text(encoding="utf-8")
    added = [line for line in text.splitlines() if line not in RECIPE.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in added if "{" not in line] == [
        f"revision: {MODEL}",
        f"sha256: {rows}",
        f"sha256: {sha256(SDIST)}",
        f"sha256: {sha256(WHEEL)}",
    ]
    assert f"    - {{hub: me/rows, revision: {ROWS}, split: train}}\n" in text
    assert "  hub: me/model   # small\n" in text
    assert "baselines: [majority, {model: {name: big, path: big, sha256: " in text
    assert "base_model.revision  none -> aaaaaaaaaaaa  me/model" in done.stdout
    assert "recipe.yaml: 6 pinned\n" in done.stdout


def test_a_second_time_nothing_is_asked_and_nothing_written(folder: Folder) -> None:
    folder.pin()
    before = folder.recipe.stat()

    done = folder.pin()

    assert (done.returncode, done.stdout) == (0, "recipe.yaml: nothing to pin, 6 pinned before\n")
    assert folder.recipe.stat().st_mtime_ns == before.st_mtime_ns


def test_a_pin_moves_on_purpose_only(folder: Folder) -> None:
    folder.pin()
    folder.edit(MODEL, "c" * 40)
    folder.pin()
    kept = folder.value["base_model"]["revision"]

    done = folder.pin("--upgrade", "recipe.yaml")

    assert kept == "c" * 40
    assert folder.value["base_model"]["revision"] == MODEL
    assert "base_model.revision  cccccccccccc -> aaaaaaaaaaaa" in done.stdout
    assert "data.sources[2]: version 1.1 is there" in done.stdout


def test_what_cannot_be_found_is_reported_whole_and_the_file_stays(folder: Folder) -> None:
    folder.edit("hub: me/model", "hub: me/none")
    folder.edit("toy==1.0\n      file: toy/", "toy==9.0\n      file: toy/")
    folder.edit("path: big", "path: huge")
    before = folder.recipe.read_bytes()

    done = folder.pin()

    assert done.returncode == 3
    assert folder.recipe.read_bytes() == before
    for problem in (
        "6:8  D347  base_model:",
        "D341  data.sources[3]:",
        "D320  baselines[1].model:",
    ):
        assert problem in done.stderr
    assert "recipe.yaml: left as it was\n" in done.stdout


def test_a_hub_that_cannot_be_reached_is_reported(folder: Folder) -> None:
    done = Folder(path=folder.path, root=folder.root, server="http://127.0.0.1:9").pin()

    assert done.returncode == 3
    assert "D348  base_model: `me/model` cannot be fetched" in done.stderr
    assert "D342  data.sources[2]:" in done.stderr


def test_a_wrong_recipe_is_not_pinned(folder: Folder) -> None:
    folder.edit("weight: 2", "wight: 2")

    done = folder.pin()

    assert done.returncode == 2
    assert "R104" in done.stderr


def test_a_parent_is_pinned_by_itself_and_its_child_has_nothing_to_pin(folder: Folder) -> None:
    folder.edit("name: x\n", "")
    child = "recipe: v1\nname: y\nextends: recipe.yaml\n"
    (folder.path / "child.yaml").write_text(child, encoding="utf-8")

    done = folder.pin("child.yaml", "recipe.yaml")

    assert done.returncode == 0, done.stderr
    assert "child.yaml: nothing to pin\n" in done.stdout
    assert (folder.path / "child.yaml").read_text(encoding="utf-8") == child
    assert folder.value["base_model"]["revision"] == MODEL


def test_pins_as_json_are_whole(folder: Folder) -> None:
    content = json.loads(folder.pin("recipe.yaml", "--format", "json").stdout)

    (recipe,) = content["recipes"]
    assert (content["schema"], recipe["written"], content["problems"]) == ("pins.v1", True, [])
    assert recipe["pins"][0] == {
        "path": "base_model.revision",
        "of": "me/model",
        "old": None,
        "new": MODEL,
        "about": "the commit that `main` is at",
    }
