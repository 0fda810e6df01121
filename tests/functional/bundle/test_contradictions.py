"""A bundle that was changed and signed anew, with digests that fit, is never verified: the fact is named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.bundle.build import make_bundle
from engine.bundle.tar_archive import read_archive
from engine.bundle.verification import BundleVerdict, Checking, check_bundle
from support.contradictions import CONTRADICTIONS
from support.forged_bundles import LOCK, REPORT, Forge
from support.json_mutation import mutated
from support.project import Outcome
from support.runs import run_folders

pytestmark = pytest.mark.thorough

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def bundle(accepted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the accepted run, without its model."""
    folder = tmp_path_factory.mktemp("consistent")
    (run,) = run_folders(accepted / ".recipe")
    key = folder / "key.pem"
    private = Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return make_bundle(run, folder / "whole.tar", key=key).file


@pytest.fixture
def forge(bundle: Path) -> Forge:
    files = {one.name: one.data or b"" for one in read_archive(bundle)}
    return Forge(files=files, report=json.loads(files[REPORT]), lock=json.loads(files[LOCK]))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def problems_of(found: Checking) -> str:
    return "; ".join(claim.problem for claim in found.claims if not claim.holds)


def test_a_bundle_signed_anew_without_a_change_is_consistent_and_its_signer_unknown(
    forge: Forge, tmp_path: Path, run: Run
) -> None:
    path = forge.signed(tmp_path / "same.tar")
    shown = run("verify", str(path))
    as_json = json.loads(run("verify", str(path), "--format", "json").out)

    assert check_bundle(path).verdict is BundleVerdict.CONSISTENT, problems_of(check_bundle(path))
    assert shown.code == 6
    assert "CONSISTENT, SIGNER UNKNOWN" in shown.out
    assert "VERIFIED" not in shown.out
    assert (as_json["verdict"], as_json["holds"]) == ("consistent, signer unknown", True)


def test_a_known_key_makes_it_verified(bundle: Path, home: Path, tmp_path: Path, run: Run) -> None:
    key = next(one.data for one in read_archive(bundle) if one.name == "signer.pem") or b""
    named = tmp_path / "maker.pub"
    named.write_bytes(key)
    by_option = run("verify", str(bundle), "--key", str(named))
    before = run("verify", str(bundle))
    (home / "slm-recipe" / "known-keys").mkdir(parents=True)
    (home / "slm-recipe" / "known-keys" / "maker.pem").write_bytes(key)
    (home / "slm-recipe" / "known-keys" / "broken.pem").write_bytes(b"no key")
    by_folder = run("verify", str(bundle))

    assert (by_option.code, before.code, by_folder.code) == (0, 6, 0)
    assert by_folder.out.splitlines()[-1].startswith("VERIFIED")


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_named_whoever_signed(name: str, forge: Forge, tmp_path: Path) -> None:
    change, named = CONTRADICTIONS[name]
    change(forge)

    found = check_bundle(forge.signed(tmp_path / "forged.tar"))

    assert found.verdict is BundleVerdict.NOT_VERIFIED
    assert named in problems_of(found), problems_of(found)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("which", ["report", "lock"])
def test_mutations_of_report_and_lock_are_reported_and_never_a_bug(
    which: str, seed: int, forge: Forge, tmp_path: Path
) -> None:
    setattr(forge, which, mutated(getattr(forge, which), seed))

    check_bundle(forge.signed(tmp_path / "mutated.tar"))
