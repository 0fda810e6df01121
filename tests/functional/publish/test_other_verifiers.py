"""What is published beside the model, by the verifiers of those who made its forms, where they are installed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from support.project import Project

pytestmark = pytest.mark.thorough


def published(project: Project, *words: str) -> Path:
    done = project.run("publish", "tiny", "--to", "folder", "--name", "out", "--yes", *words)
    assert done.code == 0, done.err
    return project.folder / "out"


def test_the_bill_names_files_base_data_and_software(finished: Project) -> None:
    out = published(finished)
    bill = json.loads((out / "tiny.cdx.json").read_text("utf-8"))

    component = bill["metadata"]["component"]
    kinds = {one["type"] for one in bill["components"]}
    by_name = {one["name"]: one for one in bill["components"]}
    sums = dict(line.split("  ")[::-1] for line in (out / "SHA256SUMS").read_text().splitlines())
    assert component["type"] == "machine-learning-model"
    assert kinds == {"file", "machine-learning-model", "data", "library"}
    gguf = by_name["model-Q4_K_M.gguf"]
    assert gguf["hashes"] == [{"alg": "SHA-256", "content": sums["model-Q4_K_M.gguf"]}]
    assert by_name["rows.csv"]["data"] == [{"type": "dataset"}]


def valid_bill(bill: bytes) -> Any:
    """What CycloneDX's own validator has against a bill; None for nothing."""
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    return validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(bill.decode())


def test_cyclonedx_takes_the_bill(finished: Project) -> None:
    out = published(finished)

    assert valid_bill((out / "tiny.cdx.json").read_bytes()) is None
    assert (
        valid_bill(b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "nonsense": 1}') is not None
    )


def elliptic_key(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    path = folder / "model-key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub").write_bytes(public)
    return path


def test_model_signing_verifies_what_was_signed_and_no_other_byte(finished: Project) -> None:
    pytest.importorskip("model_signing")
    key = elliptic_key(finished.folder)
    out = published(finished, "--sign-model", str(key), "--form", "merged", "--form", "gguf")
    lines = (out / "README.md").read_text("utf-8").splitlines()
    # the card's own command
    (words,) = [line.split()[1:] for line in lines if line.startswith("model_signing verify")]

    def verify() -> subprocess.CompletedProcess[str]:
        named = [str(key.with_suffix(".pub")) if word == "KEY.pub" else word for word in words]
        command = [sys.executable, "-m", "model_signing", *named]
        return subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)

    sound = verify()
    with (out / "model-Q4_K_M.gguf").open("ab") as stream:
        stream.write(b"?")
    changed = verify()

    assert sound.returncode == 0, sound.stderr
    assert changed.returncode != 0
    assert "model-Q4_K_M.gguf" in changed.stdout + changed.stderr


def test_a_key_that_cannot_sign_a_model_is_named(finished: Project) -> None:
    key = finished.folder / "wrong.pem"
    key.write_text("no key", encoding="utf-8")

    done = finished.run(
        "publish", "tiny", "--to", "folder", "--name", "out", "--yes", "--sign-model", str(key)
    )

    assert done.code in (2, 3)
    assert "X838" in done.err
