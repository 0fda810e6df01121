"""A run's model in Ollama, in an OCI layout and in a registry: each read back by digest, and asked where it answers."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.metrics.predictions import Prediction
from engine.publish.ollama import Ollama, _is_same
from engine.publish.registry import Registry
from engine.store import Store
from engine.trust.access import NOTHING
from engine.values import replace
from support.export_bench import TASK as BENCH_TASK
from support.project import Project
from support.registry_server import TOKEN, USER, RegistryServer, registry_server

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


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with registry_server(RegistryServer()) as found:
        yield found


def test_a_registry_gets_and_gives_back_the_same_manifest_as_a_layout(
    finished: Project, registry: RegistryServer
) -> None:
    name = f"{registry.host}/team/tiny:1.0"
    finished.run("publish", "tiny", "--to", "oci", "--name", "./layout", "--yes")
    shown = finished.run("publish", "tiny", "--to", "oci", "--name", name)
    assert not registry.asked
    done = finished.run("publish", "tiny", "--to", "oci", "--name", name, "--yes")
    uploads = registry.uploads
    again = finished.run("publish", "tiny", "--to", "oci", "--name", name, "--yes")

    assert (shown.code, done.code, again.code) == (0, 0, 0), done.err + again.err
    assert json.loads(registry.manifests["1.0"]) == manifest_of(finished.folder / "layout")
    assert f"@sha256:{hashlib.sha256(registry.manifests['1.0']).hexdigest()}" in done.out
    assert registry.uploads == uploads  # what is there is not sent again
    registry.manifests["1.0"] = b"{}"
    other = finished.run("publish", "tiny", "--to", "oci", "--name", name, "--yes")
    assert (other.code, "X830" in other.err) == (2, True)


def test_a_blob_that_comes_back_otherwise_is_an_error(
    finished: Project, registry: RegistryServer
) -> None:
    name = f"{registry.host}/team/tiny"
    finished.run("publish", "tiny", "--to", "oci", "--name", name, "--yes")
    registry.damages = next(iter(registry.blobs))

    done = finished.run("publish", "tiny", "--to", "oci", "--name", name, "--yes")

    assert (done.code, "X832" in done.err) == (3, True)


def test_a_key_is_sent_to_the_registry_and_its_token_from_then_on(
    finished: Project, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.wants_token = True
    words = ("publish", "tiny", "--to", "oci", "--name", f"{registry.host}/team/tiny", "--yes")
    without = finished.run(*words)
    monkeypatch.setenv("OCI_KEY", USER)
    done = finished.run(*words, "--key-from", "OCI_KEY")

    assert (without.code, "X835" in without.err) == (3, True)
    assert done.code == 0, done.err
    assert {kind for method, _, kind in registry.asked if method == "PUT"} == {"Bearer"}
    assert USER not in done.out + done.err
    assert TOKEN not in done.out + done.err


def test_a_key_goes_to_no_other_host_that_a_registry_names(
    finished: Project, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.wants_token, registry.realm = True, "https://tokens.example/token"
    monkeypatch.setenv("OCI_KEY", USER)

    done = finished.run(
        "publish", "tiny", "--to", "oci", "--name", f"{registry.host}/team/tiny", "--yes",
        "--key-from", "OCI_KEY",
    )  # fmt: skip

    assert done.code == 3
    assert "X836" in done.err
    assert "--allow-key OCI_KEY=tokens.example" in done.err


@pytest.mark.parametrize(
    "name", ["host", "host/Big", "host/a:b:c", "http://host/a", "host/a b", "user@host/a"]
)
def test_what_is_no_place_in_a_registry_is_refused(name: str) -> None:
    with pytest.raises(EngineError, match="R420"):
        Registry(name=name, given=NOTHING)


def test_a_registry_elsewhere_is_reached_by_https_only() -> None:
    assert Registry(name="reg.example/a", given=NOTHING).root == "https://reg.example:443"
    assert Registry(name="localhost:5000/a", given=NOTHING).root == "http://localhost:5000"


@pytest.mark.parametrize("name", ["", "-x", "a b", "a:b:c", "../x"])
def test_what_is_no_name_for_ollama_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="R420"):
        Ollama(name=name, store=Store(tmp_path), given=NOTHING)
