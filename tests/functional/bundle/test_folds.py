"""A run that was judged by folds is bundled: its scores are of all rows, those of its lock of the first fold."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.bundle.build import make_bundle
from engine.bundle.tar_archive import read_archive
from engine.bundle.verification import BundleVerdict, check_bundle
from support.forged_bundles import LOCK, REPORT, Forge, put
from support.run_once import run_once
from support.runs import run_folders

pytestmark = pytest.mark.thorough


def test_a_run_of_folds_is_bundled_and_its_numbers_are_held_to_each_other(tmp_path: Path) -> None:
    splits = {"folds": 3, "validation": 12, "seed": 7}
    done = run_once("folds", lambda project: project.edit(splits=splits))
    (run,) = run_folders(done.folder / ".recipe")
    key = tmp_path / "key.pem"
    private = Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    path = make_bundle(run, tmp_path / "folds.tar", key=key).file

    assert check_bundle(path).verdict is BundleVerdict.CONSISTENT
    files = {one.name: one.data or b"" for one in read_archive(path)}
    for change, named in (
        (
            put(0.99, "accepted", "metrics", "accuracy", "value", of="lock"),
            "metrics.accuracy.value",
        ),
        (put(46, "ladder", 0, "scores", "rows"), "report.holdout.rows"),
        (put(None, "folds"), "`report.folds` is null"),
    ):
        forge = Forge(
            files=dict(files), report=json.loads(files[REPORT]), lock=json.loads(files[LOCK])
        )
        change(forge)
        found = check_bundle(forge.signed(tmp_path / "forged.tar"))
        assert named in "; ".join(one.problem for one in found.claims)
