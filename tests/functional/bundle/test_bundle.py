"""A bundle from an accepted run: the same bytes for the same run, and no byte of it that may change."""

import base64
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.bundle.build import make_bundle
from engine.bundle.row_table import ROWS
from engine.bundle.signing import pem_of
from engine.bundle.tar_archive import read_archive, write_archive
from engine.bundle.verification import Checking, check_bundle
from support.examples import examples
from support.forged_bundles import LOCK, REPORT, Forge
from support.project import Outcome, Project
from support.runs import run_folders

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("home")]

Run = Callable[..., Outcome]


def a_key(folder: Path, name: str = "key") -> Path:
    """A private key, and its public half beside it."""
    key = Ed25519PrivateKey.generate()
    path = folder / f"{name}.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.with_suffix(".pub").write_bytes(pem_of(key.public_key()))
    return path


@pytest.fixture(scope="session")
def bundled(accepted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with its model, `model.tar`, signed by `key.pem`."""
    folder = tmp_path_factory.mktemp("bundled")
    (run,) = run_folders(accepted / ".recipe")
    make_bundle(run, folder / "model.tar", key=a_key(folder), with_model=True)
    return folder


@pytest.fixture
def signed(bundled: Path, tmp_path: Path) -> Path:
    """A copy of that folder, free to be broken."""
    return Path(shutil.copytree(bundled, tmp_path / "signed"))


def failed(found: Checking) -> list[str]:
    return [claim.what for claim in found.claims if not claim.holds]


def members(path: Path) -> dict[str, bytes]:
    return {one.name: one.data or b"" for one in read_archive(path)}


def test_a_bundle_is_made_and_checked_by_the_command(finished: Project, home: Path) -> None:
    made = finished.run("export", "bundle", "recipe.yaml", "-o", "a.tar")
    again = finished.run("export", "bundle", "tiny", "-o", "b.tar")
    checked = finished.run("verify", "a.tar")

    key = home / "slm-recipe" / "signing-key.pem"
    assert (made.code, again.code, checked.code) == (0, 0, 0), made.err + checked.out
    assert "your new key" in made.out
    assert "your new key" not in again.out
    assert key.stat().st_mode & 0o077 == 0
    assert (finished.folder / "a.tar").read_bytes() == (finished.folder / "b.tar").read_bytes()
    assert "VERIFIED  a.tar of tiny" in checked.out
    assert "FAILED" not in checked.out
    assert "that is a key you named, made or keep" in checked.out
    accepted = json.loads((finished.folder / "recipe.lock.json").read_text("utf-8"))["accepted"]
    assert f"recipe digest {accepted['recipe']['digest']}" in checked.out
    assert f"accepted on {accepted['finished']}" in checked.out
    assert f"macro_f1 {accepted['metrics']['macro_f1']['value']:.3f} (" in checked.out


@pytest.mark.parametrize("name", ["rows.csv", "old.bundle.tar"])
def test_a_file_is_written_over_only_where_that_is_asked_for(finished: Project, name: str) -> None:
    place = finished.folder / name
    if not place.exists():
        place.write_bytes(b"evidence of an earlier model")
    before = place.read_bytes()

    made = finished.run("export", "bundle", "recipe.yaml", "-o", name)

    assert (made.code, "R005" in made.err, "--overwrite" in made.err) == (2, True, True)
    assert place.read_bytes() == before


def test_an_earlier_bundle_is_replaced_where_that_is_asked_for(finished: Project) -> None:
    place = finished.folder / "tiny.bundle.tar"
    place.write_bytes(b"evidence of an earlier model")

    made = finished.run("export", "bundle", "--overwrite")

    assert made.code == 0, made.err
    assert members(place)


def test_texts_of_rows_leave_only_where_that_is_asked_for(finished: Project) -> None:
    sentence = "the film was happy and the joke good"  # an example of a finding
    shown = []
    for name, words in (("plain.tar", ()), ("whole.tar", ("--with-row-texts",))):
        made = finished.run("export", "bundle", "recipe.yaml", "-o", name, *words)
        checked = finished.run("verify", name, "--format", "json")
        assert (made.code, checked.code) == (0, 0), made.err + checked.out
        found = members(finished.folder / name)
        holders = {file for file, data in found.items() if sentence.encode() in data}
        shown.append((holders, json.loads(checked.out)["has_row_texts"]))
        report = json.loads(found["report.json"])
        assert "rows.csv:6" in str(report["data"]["findings"])
    assert shown == [(set(), False), ({"report.json", "report.html"}, True)]


def test_without_rows_nothing_is_recomputed_and_verify_names_it(finished: Project) -> None:
    made = finished.run("export", "bundle", "recipe.yaml", "-o", "a.tar", "--no-rows")
    checked = finished.run("verify", "a.tar")
    forge = Forge(
        files=members(finished.folder / "a.tar"),
        report=json.loads(members(finished.folder / "a.tar")[REPORT]),
        lock=json.loads(members(finished.folder / "a.tar")[LOCK]),
    )
    by_others = finished.run("verify", str(forge.signed(finished.folder / "b.tar")))

    assert (made.code, checked.code, by_others.code) == (0, 0, 6), made.err
    assert "recomputes none of its numbers" in made.out
    assert ROWS not in members(finished.folder / "a.tar")
    assert "it carries no rows, so nothing was recomputed" in checked.out
    assert "NOT RECOMPUTED, SIGNER UNKNOWN" in by_others.out


def test_any_tool_reads_its_members(signed: Path) -> None:
    with tarfile.open(signed / "model.tar") as archive:
        names = archive.getnames()
        report = json.load(archive.extractfile("report.json") or io.BytesIO())

    assert {"README.md", "recipe.yaml", "recipe.lock.json", "report.html", "signer.pem"} <= set(
        names
    )
    assert "model/model-Q4_K_M.gguf" in names
    assert report["outcome"] == "accepted"


def test_the_statement_names_the_files_and_the_verdicts(signed: Path, run: Run) -> None:
    outcome = run("verify", str(signed / "model.tar"), "--format", "json")
    found = json.loads(outcome.out)
    with tarfile.open(signed / "model.tar") as archive:
        envelope = json.load(archive.extractfile("statement.dsse.json") or io.BytesIO())
    statement = json.loads(base64.b64decode(envelope["payload"]))

    assert found["holds"]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicate"]["verdicts"]["gate"]["status"] == "pass"
    assert found["subjects"] == statement["subject"]
    assert "model-Q4_K_M.gguf" in {one["name"] for one in statement["subject"]}
    assert envelope["payloadType"] == "application/vnd.in-toto+json"


def test_a_model_file_is_found_by_its_digest_and_a_changed_one_is_not(
    signed: Path, finished: Project, run: Run
) -> None:
    (folder,) = run_folders(finished.folder / ".recipe")
    file = finished.folder / "model.gguf"
    shutil.copyfile(folder / "model-Q4_K_M.gguf", file)
    key = ("--key", str(signed / "key.pub"))
    right = run("verify", str(signed / "model.tar"), "--model", str(file), *key)
    whole = run("verify", str(signed / "model.tar"), "--model", str(folder / "model"), *key)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    wrong = run("verify", str(signed / "model.tar"), "--model", str(file))

    assert (right.code, whole.code, wrong.code) == (0, 0, 1)
    assert "is none of the model's files" in wrong.out


def test_the_key_that_must_have_signed_is_compared(signed: Path, run: Run) -> None:
    other = a_key(signed, "other").with_suffix(".pub")
    right = run("verify", str(signed / "model.tar"), "--key", str(signed / "key.pub"))
    wrong = run("verify", str(signed / "model.tar"), "--key", str(other))
    none = run("verify", str(signed / "model.tar"), "--key", str(signed / "key.pem"))
    digest = json.loads(run("verify", str(signed / "model.tar"), "--format", "json").out)["signer"]
    by_digest = run("verify", str(signed / "model.tar"), "--key", digest.upper())
    by_another = run("verify", str(signed / "model.tar"), "--key", "0" * 64)
    cut = run("verify", str(signed / "model.tar"), "--key", digest[:-1])

    assert (right.code, wrong.code, none.code) == (0, 1, 2)
    assert (by_digest.code, by_another.code, cut.code) == (0, 1, 2)
    assert "or its sha256: 64 hex digits" in cut.err
    assert "that is a key you named" in right.out
    assert "FAILED  the key is the one named by --key" in wrong.out
    assert "X661" in none.err


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found(
    bundled: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = bytearray((bundled / "model.tar").read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "flipped.tar").write_bytes(whole)

    assert not check_bundle(tmp_path / "flipped.tar").holds


@settings(max_examples=examples(80), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_of_each_member_is_found_by_its_claim(
    bundled: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """The archive is written anew around it, so that only what stands in the member gives it away."""
    found = members(bundled / "model.tar")
    name = data.draw(st.sampled_from(sorted(found)))
    content = bytearray(found[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    write_archive(tmp_path / "changed.tar", {**found, name: bytes(content)})

    checked = check_bundle(tmp_path / "changed.tar")

    assert not checked.holds
    expected = {"statement.dsse.json": "signed by", "signer.pem": "signed by"}.get(
        name, "what was signed"
    )
    assert any(expected in what for what in failed(checked)), failed(checked)


def test_members_that_are_missing_or_too_many_are_named(signed: Path) -> None:
    found = members(signed / "model.tar")
    write_archive(signed / "more.tar", {**found, "extra.txt": b"x"})
    del found["report.html"]
    write_archive(signed / "less.tar", found)

    more, less = check_bundle(signed / "more.tar"), check_bundle(signed / "less.tar")

    assert "extra.txt does not belong in it" in more.claims[0].problem
    assert "report.html is missing" in less.claims[0].problem


def test_a_refused_run_has_nothing_to_bundle(finished: Project) -> None:
    finished.edit(acceptance__metrics={"macro_f1": {"min": 0.999}})
    assert finished.run("run", "recipe.yaml").code == 1

    outcome = finished.run("export", "bundle", "recipe.yaml", "-o", "a.tar")

    assert outcome.code == 2
    assert "X663" in outcome.err
    assert not (finished.folder / "a.tar").exists()


def test_a_run_without_its_lock_names_no_command_that_cannot_be_given(finished: Project) -> None:
    for lock in finished.folder.glob(".recipe/runs/*/*/recipe.lock.json"):
        lock.unlink()

    outcome = finished.run("export", "bundle")

    # the recipe's name is no file that `recipe run` could read
    assert "recipe run RECIPE writes it" in outcome.err
