"""A run's model in a folder and on a hub: shown first, private, read back, its card read by the hub's library."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import EnvironmentProblem, RecipeError
from engine.publish import hub_upload as publishing
from engine.publish import publication
from engine.sources import hub as online
from engine.trust.hosts import keep_secret
from support.hub_server import COMMIT, HubServer, hub_server
from support.project import Project
from support.runs import run_folders

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("home")]

EVIDENCE = {
    "README.md",
    "SHA256SUMS",
    "holdout-counts.json",
    "report.html",
    "report.json",
    "tiny.bundle.tar",
    "tiny.cdx.json",
}
GGUF = {"Modelfile", "model-Q4_K_M.gguf", "task.json"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that this process takes for the real one."""
    from huggingface_hub import constants

    with hub_server(HubServer()) as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        template = f"{found.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(online._Wish, "allows", True)
        monkeypatch.setenv("HF_TOKEN", found.token)
        yield found


def names(folder: Path) -> set[str]:
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def test_nothing_is_written_without_yes(finished: Project, hub: HubServer, home: Path) -> None:
    shown = finished.run("publish", "tiny", "--to", "folder", "--name", "out")
    asked = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny", "--format", "json")

    found = json.loads(asked.out)
    assert (shown.code, asked.code) == (0, 0), shown.err + asked.err
    assert "would publish tiny" in shown.out
    assert "--yes does it" in shown.out
    assert not (finished.folder / "out").exists()
    assert {one["name"] for one in found["files"]} == {
        *GGUF,
        "holdout-counts.json",
        "report.html",
        "report.json",
        "tiny.cdx.json",
    }
    assert found["later"] == ["README.md", "tiny.bundle.tar", "SHA256SUMS"]
    assert not found["published"]
    assert (hub.private, hub.authorized) == ({}, [])
    assert not list(home.rglob("signing-key.pem"))


def test_a_folder_holds_every_form_and_checks_itself(finished: Project) -> None:
    forms = ("--form", "merged", "--form", "gguf", "--form", "adapter")
    out = finished.folder / "out"

    made = finished.run("publish", "tiny", "--to", "folder", "--name", "out", "--yes", *forms)
    again = finished.run("publish", "tiny", "--to", "folder", "--name", "out", "--yes", *forms)
    checked = finished.run("verify", "out/tiny.bundle.tar", "--model", "out/model.safetensors")

    assert (made.code, again.code, checked.code) == (0, 2, 0), made.err + checked.out
    assert "X830" in again.err
    merged = {"config.json", "model.safetensors", "tokenizer.json"}
    assert EVIDENCE | GGUF | merged | {"adapter/adapter_model.safetensors"} <= names(out)
    counts = json.loads((out / "holdout-counts.json").read_text("utf-8"))["counts"]
    (file,) = (one for one in names(out) if one.endswith(".gguf"))
    assert counts["model"] == hashlib.sha256((out / file).read_bytes()).hexdigest()
    sums = dict(line.split("  ")[::-1] for line in (out / "SHA256SUMS").read_text().splitlines())
    assert {*sums, "SHA256SUMS"} == names(out)
    for name, digest in sums.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_transformers_reads_what_was_published(finished: Project) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = finished.run(
        "publish", "tiny", "--to", "folder", "--name", "out", "--yes", "--form", "merged"
    )
    model = AutoModelForCausalLM.from_pretrained("out", local_files_only=True)

    assert made.code == 0, made.err
    assert model.config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained("out", local_files_only=True).chat_template


def test_the_hubs_own_library_reads_the_card(finished: Project) -> None:
    from huggingface_hub import ModelCard

    finished.run("publish", "tiny", "--to", "folder", "--name", "out", "--yes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        card = ModelCard.load("out/README.md")

    report = json.loads((finished.folder / "out" / "report.json").read_text("utf-8"))
    shipped = {one["name"]: one["value"] for one in report["quantized"]["metrics"]}
    found = {one.metric_type: one.metric_value for one in card.data.eval_results or ()}
    assert found == {
        name: pytest.approx(shipped[name], abs=5e-5) for name in ("accuracy", "macro_f1")
    }
    assert card.data.library_name == "gguf"
    assert card.data.pipeline_tag == "text-classification"


def test_the_hub_gets_a_private_repository_that_is_read_back(
    finished: Project, hub: HubServer
) -> None:
    done = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny", "--yes")

    assert done.code == 0, done.err
    assert hub.private == {"me/tiny": True}
    assert set(hub.files) == EVIDENCE | GGUF
    assert f"version {COMMIT}" in done.out
    assert "10 read back" in done.out
    (run,) = run_folders(finished.folder / ".recipe")
    assert hub.files["model-Q4_K_M.gguf"] == (run / "model-Q4_K_M.gguf").read_bytes()
    assert hub.cards
    assert hub.token not in done.out + done.err
    # large files went to another name of this machine, and the token stayed
    assert hub.stored
    assert {host for _, host in hub.authorized} == {"127.0.0.1"}


def test_files_of_an_earlier_run_do_not_stay_beside_the_new_ones(
    finished: Project, hub: HubServer
) -> None:
    """transformers would load an earlier `model.safetensors` under the new card."""
    hub.private["me/tiny"] = True
    sums = "".join(f"{'0' * 64}  {name}\n" for name in ("model.safetensors", "report.json", "gone"))
    hub.files |= dict.fromkeys(("model.safetensors", "report.json", "model.sig", "mine.txt"), b"x")
    hub.files["SHA256SUMS"] = sums.encode()

    done = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny", "--yes")
    first = set(hub.files)
    words = ("--form", "merged")
    again = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny", "--yes", *words)

    assert (done.code, again.code) == (0, 0), done.err + again.err
    assert first == {*EVIDENCE, *GGUF, "mine.txt"}
    assert "only in the commit before: model.safetensors, model.sig, of an earlier run" in done.out
    # what another call published of the same run stays
    assert set(hub.files) > first
    assert "no longer there" not in again.out


@pytest.mark.parametrize(
    ("private", "words", "code"), [(False, (), "X837"), (True, ("--public",), "X837")]
)
def test_a_repository_that_is_there_keeps_its_readers(
    finished: Project, hub: HubServer, private: bool, words: tuple[str, ...], code: str
) -> None:
    hub.private["me/tiny"] = private

    done = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny", "--yes", *words)

    assert done.code == 3
    assert code in done.err
    assert hub.files == {}


def test_a_byte_that_comes_back_otherwise_is_an_error(finished: Project, hub: HubServer) -> None:
    hub.damages = "model-Q4_K_M.gguf"

    done = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny", "--yes")

    assert done.code == 3
    assert "X832" in done.err
    assert "`model-Q4_K_M.gguf` in me/tiny is not what was sent" in done.err


def test_no_token_goes_out_without_encryption(
    finished: Project, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example")
    shown = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny")
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(finished.folder / "none"))
    without = finished.run("publish", "tiny", "--to", "hub", "--name", "me/tiny", "--yes")

    assert ("X836" in shown.err, "X831" in without.err) == (True, True), shown.err + without.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--to", "hub", "--name", "tiny"), "R420"),
        (("--to", "folder", "--name", "out", "--public"), "R423"),
        (("--to", "folder", "--name", "."), "X830"),
    ],
)
def test_what_cannot_be_published_there_is_refused(
    finished: Project, words: tuple[str, ...], code: str
) -> None:
    done = finished.run("publish", "tiny", *words)

    assert done.code == 2
    assert code in done.err


def test_a_model_that_was_not_accepted_is_not_published(finished: Project) -> None:
    finished.edit(acceptance={"metrics": {"macro_f1": {"min": 0.99}}})
    assert finished.run("run", "recipe.yaml").code == 1

    done = finished.run("publish", "tiny", "--to", "folder", "--name", "out", "--yes")

    assert (done.code, "R421" in done.err) == (2, True)
    assert not (finished.folder / "out").exists()


def test_a_form_that_the_run_has_not_is_named(tmp_path: Path) -> None:
    known = {"gguf": {"model-Q8_0.gguf": tmp_path}, "merged": {}, "adapter": {}}

    with pytest.raises(RecipeError, match=r"R422.*no model in the form `merged`: gguf"):
        list(publication._model_files(tmp_path, known, ["merged"]))


def test_errors_of_the_hub_are_shown_without_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secret("hf_secret_of_a_test")
    with pytest.raises(EnvironmentProblem) as caught, publishing._translated():
        raise ValueError("refused: Bearer hf_secret_of_a_test")

    assert caught.value.problems[0].message == "the hub does not take it: refused: Bearer [key]"
