"""A run's model in Ollama, in an OCI layout and in a registry: each read back by digest, and asked where it answers."""

import hashlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.metrics.predictions import Prediction
from engine.publish.oci import Registry
from engine.publish.ollama_registry import Ollama, _is_same
from engine.store import Store
from engine.trust.access import NOTHING
from engine.values import replace
from support.export_bench import TASK as BENCH_TASK
from support.project import Project

pytestmark = pytest.mark.thorough

TASK = replace(BENCH_TASK, labels=("negative", "positive"))
FAKE = """#!{python}
import hashlib, json, pathlib, sys
home = pathlib.Path({home!r})
words = sys.argv[1:]
(home / "calls").open("a").write(words[0] + "\\n")
kept = home / "kept.json"
if words[0] == "create":
    modelfile = pathlib.Path(words[words.index("-f") + 1])
    named = [one[5:] for one in modelfile.read_text().splitlines() if one.startswith("FROM ")][0]
    digest = hashlib.sha256((modelfile.parent / named).read_bytes()).hexdigest()
    kept.write_text(json.dumps({{"name": words[1], "digest": digest}}))
elif words[0] == "show":
    found = json.loads(kept.read_text()) if kept.exists() else None
    if found is None:
        sys.exit("Error: model not found")
    print("FROM /blobs/sha256-" + found["digest"])
elif words[0] == "run":
    print(json.loads((home / "answers.json").read_text()).get(sys.stdin.read(), "?"))
"""


@pytest.fixture
def ollama(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `ollama` on the path that keeps the digest of what it is given, and answers as `verify` saw."""
    store = finished.folder / ".recipe" / "store"
    task = "positive or negative?"
    texts: dict[str, str] = {}
    for path in store.rglob("holdout.jsonl"):
        for row in map(json.loads, path.read_text("utf-8").splitlines()):
            texts |= {row["id"]: row["input"]} if "input" in row else {}
    free = next(iter(store.rglob("predictions.quantized_free.jsonl"))).read_text("utf-8")
    answers = {
        f"{task}\n\n{texts[row['id']]}": row["text"] for row in map(json.loads, free.splitlines())
    }
    home = finished.folder / "ollama-home"
    home.mkdir()
    (home / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    program = finished.folder / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(FAKE.format(python=sys.executable, home=str(home)), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    return home


def test_ollama_keeps_the_file_by_its_digest_and_answers_as_verify_saw(
    finished: Project, ollama: Path
) -> None:
    shown = finished.run("publish", "tiny", "--to", "ollama", "--name", "tiny")
    assert not (ollama / "calls").exists()
    done = finished.run("publish", "tiny", "--to", "ollama", "--name", "tiny", "--yes")
    again = finished.run("publish", "tiny", "--to", "ollama", "--name", "tiny", "--yes")

    calls = (ollama / "calls").read_text().split()
    assert (shown.code, done.code, again.code) == (0, 0, 2), shown.err + done.err
    assert "20 of 20 holdout rows answered as `verify` saw" in done.out
    assert (calls.count("create"), calls.count("run")) == (1, 20)
    assert "X830" in again.err


def test_a_model_that_answers_otherwise_is_an_error(finished: Project, ollama: Path) -> None:
    (ollama / "answers.json").write_text("{}", encoding="utf-8")

    done = finished.run("publish", "tiny", "--to", "ollama", "--name", "tiny", "--yes")

    assert (done.code, "X834" in done.err) == (3, True), done.err
    assert "0 of 20 holdout rows" in done.err


@pytest.mark.parametrize(
    ("expected", "ended", "found", "is_same"),
    [
        ("negative", True, "negative", True),
        ("negative", True, "positive", False),
        ("it was ne", False, "it was negative", True),
        ("it was ne", True, "it was negative", False),
        ("?", True, "negative", False),
    ],
)
def test_an_answer_is_the_same_by_its_text_or_by_what_it_states(
    expected: str, ended: bool, found: str, is_same: bool
) -> None:
    seen = Prediction(
        id="1", target="negative", label=None, text=expected, probability=None, ended=ended
    )

    assert _is_same(TASK, seen, found) is is_same


def test_without_ollama_it_is_named_what_to_do(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(finished.folder))

    done = finished.run("publish", "tiny", "--to", "ollama", "--name", "tiny")

    assert done.code == 3
    assert "X833" in done.err
    assert "install it from ollama.com" in done.err


def test_rows_go_to_no_other_machine_without_a_word(
    finished: Project, ollama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "models.example:11434")
    words = ("publish", "tiny", "--to", "ollama", "--name", "tiny")

    refused = finished.run(*words)
    allowed = finished.run(*words, "--allow-host", "models.example:11434")

    assert (refused.code, "X836" in refused.err, allowed.code) == (3, True, 0), allowed.err
    assert not (ollama / "calls").exists()


def manifest_of(folder: Path) -> dict[str, Any]:
    index = json.loads((folder / "index.json").read_text())
    (entry,) = index["manifests"]
    blob = folder / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")
    found: dict[str, Any] = json.loads(blob.read_bytes())
    return found


def test_a_layout_holds_each_file_by_its_digest(finished: Project) -> None:
    shown = finished.run("publish", "tiny", "--to", "oci", "--name", "./layout")
    done = finished.run("publish", "tiny", "--to", "oci", "--name", "./layout", "--yes")

    assert (shown.code, done.code) == (0, 0), shown.err + done.err
    folder = finished.folder / "layout"
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    found = manifest_of(folder)
    kinds = {}
    for layer in (found["config"], *found["layers"]):
        content = (folder / "blobs" / "sha256" / layer["digest"][7:]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            layer["size"],
            layer["digest"][7:],
        )
        name = layer.get("annotations", {}).get("org.cncf.model.filepath", "config")
        kinds[name] = layer["mediaType"].removeprefix("application/vnd.cncf.model.")
    assert found["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert kinds["config"] == "config.v1+json"
    assert kinds["model-Q4_K_M.gguf"] == "weight.v1.raw"
    assert kinds["task.json"] == "weight.config.v1.raw"
    assert kinds["README.md"] == kinds["tiny.bundle.tar"] == "doc.v1.raw"
    config = json.loads((folder / "blobs/sha256" / found["config"]["digest"][7:]).read_bytes())
    assert {*config} == {"descriptor", "modelfs", "config"}  # all that the specification allows
    assert config["modelfs"]["diffIds"] == [one["digest"] for one in found["layers"]]
    assert config["config"]["quantization"] == "Q4_K_M"


ORAS = """#!{python}
import hashlib, json, pathlib, shutil, sys
home = pathlib.Path({home!r})
(home / "calls").open("a").write(" ".join(sys.argv[1:]) + "\\n")
if (home / "refuses").exists():
    sys.exit("Error: response status code 401: unauthorized")
last = home / (sys.argv[-1].split("/", 1)[1].replace("/", "-").replace(":", "-"))
if sys.argv[1] == "manifest":
    if not last.exists():
        sys.exit("Error: " + sys.argv[-1] + ": not found")
    print(json.dumps(json.loads((last / "index.json").read_text())["manifests"][0]))
elif sys.argv[2] == "--from-oci-layout":
    shutil.copytree(sys.argv[3].rpartition(":")[0], last, dirs_exist_ok=True)
else:
    sent = home / (sys.argv[3].split("/", 1)[1].partition("@")[0].replace("/", "-") + "-1.0")
    back = pathlib.Path(sys.argv[4].rpartition(":")[0])
    shutil.copytree(sent, back)
    if (home / "damages").exists():
        next(iter((back / "blobs" / "sha256").iterdir())).write_bytes(b"other")
"""


@pytest.fixture
def oras(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `oras` on the path whose registry is a folder of layouts."""
    home = finished.folder / "oras-home"
    home.mkdir()
    program = finished.folder / "oras-bin" / "oras"
    program.parent.mkdir()
    program.write_text(ORAS.format(python=sys.executable, home=str(home)), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return home


NAME = "registry.example/team/tiny:1.0"


def test_a_registry_gets_and_gives_back_the_same_manifest_as_a_layout(
    finished: Project, oras: Path
) -> None:
    words = ("publish", "tiny", "--to", "oci", "--name", NAME)
    finished.run("publish", "tiny", "--to", "oci", "--name", "./layout", "--yes")
    shown = finished.run(*words)
    assert not (oras / "calls").exists()
    done, again = finished.run(*words, "--yes"), finished.run(*words, "--yes")

    assert (shown.code, done.code, again.code) == (0, 0, 0), done.err + again.err
    kept = oras / "team-tiny-1.0"
    assert manifest_of(kept) == manifest_of(finished.folder / "layout")
    (entry,) = json.loads((kept / "index.json").read_text())["manifests"]
    assert f"@{entry['digest']}" in done.out
    (kept / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:0"}]}))
    other = finished.run(*words, "--yes")
    assert (other.code, "X830" in other.err) == (2, True)


@pytest.mark.parametrize(("how", "code"), [("refuses", "X835"), ("damages", "X832")])
def test_what_a_registry_refuses_or_damages_is_an_error(
    finished: Project, oras: Path, how: str, code: str
) -> None:
    (oras / how).touch()

    done = finished.run("publish", "tiny", "--to", "oci", "--name", NAME, "--yes")

    assert (done.code, code in done.err) == (3, True), done.err


def test_without_oras_a_layout_is_named(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(finished.folder))

    done = finished.run("publish", "tiny", "--to", "oci", "--name", NAME)

    assert (done.code, "X835" in done.err) == (3, True)


@pytest.mark.parametrize(
    "name", ["host", "host/Big", "host/a:b:c", "http://host/a", "host/a b", "user@host/a"]
)
def test_what_is_no_place_in_a_registry_is_refused(name: str) -> None:
    with pytest.raises(EngineError, match="R420"):
        Registry(name=name)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a:b:c", "../x"])
def test_what_is_no_name_for_ollama_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="R420"):
        Ollama(name=name, store=Store(tmp_path), given=NOTHING)
