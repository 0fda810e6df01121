"""Whatever stands in the place of a bundle, or in it: a claim that fails or a typed error, at once."""

import gzip
import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.bundle.contents import EVIDENCE
from engine.bundle.signing import PREDICATE_TYPE, TYPE, pem_of, sign, to_bytes
from engine.bundle.tar_archive import ArchiveError, read_archive, write_archive
from engine.bundle.verification import BundleVerdict, check_bundle
from engine.errors import RecipeError

DEEP = b"[" * 100_000 + b"]" * 100_000


def fifo(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def sparse_member(path: Path) -> None:
    """A file of holes whose header says that a model of a terabyte follows."""
    info = tarfile.TarInfo("model/model.gguf")
    info.size = (1 << 40) - 4096
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(("make", "message"), [(fifo, "is a named pipe"), (zeros, "is a device")])
def test_what_is_no_file_is_refused_at_once(
    make: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "a.tar")

    with pytest.raises(RecipeError, match=message) as caught:
        check_bundle(tmp_path / "a.tar")

    assert caught.value.problems[0].code == "X664"


def test_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    for name in (".", "absent.tar"):
        with pytest.raises(RecipeError) as caught:
            check_bundle(tmp_path / name)
        assert caught.value.problems[0].code == "X664"


@pytest.mark.parametrize("place", ["model", "key"])
@pytest.mark.parametrize("make", [fifo, zeros])
def test_a_pipe_or_device_named_beside_the_bundle_is_refused(
    make: Callable[[Path], Any], place: str, tmp_path: Path
) -> None:
    make(tmp_path / "named")
    path = bundle_of({}, tmp_path)
    model = tmp_path / "named" if place == "model" else None
    key = str(tmp_path / "named") if place == "key" else None

    with pytest.raises(RecipeError) as caught:
        check_bundle(path, model=model, key=key)

    assert caught.value.problems[0].code == "X664"


def with_tar(*infos: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return stream.getvalue()


def named(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "../../etc/passwd"
    return info


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "sparse": (sparse, "more than"),
    "sparse member": (sparse_member, "more than"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "text": (lambda path: path.write_text("no bundle"), "cannot be read"),
    "gzip bomb": (
        lambda path: path.write_bytes(gzip.compress(bytes(1 << 24))),
        "cannot be read",
    ),
    "absolute": (lambda path: path.write_bytes(with_tar(named("/etc/passwd"))), "not one that"),
    "outside": (lambda path: path.write_bytes(with_tar(named("../a"))), "not one that is written"),
    "symbolic link": (
        lambda path: path.write_bytes(with_tar(named("README.md", tarfile.SYMTYPE))),
        "not one that is written",
    ),
    "hard link": (
        lambda path: path.write_bytes(with_tar(named("README.md", tarfile.LNKTYPE))),
        "not one that is written",
    ),
    "pipe member": (
        lambda path: path.write_bytes(with_tar(named("README.md", tarfile.FIFOTYPE))),
        "not one that is written",
    ),
    "folder member": (
        lambda path: path.write_bytes(with_tar(named("model", tarfile.DIRTYPE))),
        "not one that is written",
    ),
    "escape in a name": (
        lambda path: path.write_bytes(with_tar(named("\x1b[31mREADME.md"))),
        "not one that is written",
    ),
    "twice": (
        lambda path: path.write_bytes(
            bytes_of(tarfile.TarInfo("a")) + bytes_of(tarfile.TarInfo("a")) + bytes(1024)
        ),
        "one stands twice",
    ),
    "larger than the file": (
        lambda path: path.write_bytes(bytes_of(sized("a", 1 << 33)) + bytes(1024)),
        "it ends within `a`",
    ),
    "large evidence": (
        lambda path: sparse_after(path, sized("report.json", 1 << 30)),
        "more than 67,108,864",
    ),
    "many members": (
        lambda path: path.write_bytes(
            b"".join(bytes_of(tarfile.TarInfo(f"model/{n:06}")) for n in range(10_001))
            + bytes(1024)
        ),
        "more than 10,000 members",
    ),
}


def sized(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def bytes_of(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.GNU_FORMAT)


def sparse_after(path: Path, info: tarfile.TarInfo) -> None:
    path.write_bytes(bytes_of(info))
    os.truncate(path, info.size + 4096)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_bundle_is_reported(name: str, tmp_path: Path) -> None:
    make, message = FILES[name]
    make(tmp_path / "a.tar")

    found = check_bundle(tmp_path / "a.tar")

    (claim,) = found.claims
    assert found.verdict is BundleVerdict.NOT_VERIFIED
    assert message in claim.problem
    assert claim.problem.isprintable()


def bundle_of(files: dict[str, bytes], folder: Path, *, statement: Any = None) -> Path:
    """A bundle of these files, properly signed by somebody; empty ones stand for those that are not named."""
    evidence = dict.fromkeys(EVIDENCE, b"") | files
    key = Ed25519PrivateKey.generate()
    found = statement or {
        "_type": TYPE,
        "subject": [],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "evidence": [
                {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
                for name, data in sorted(evidence.items())
            ]
        },
    }
    members = {
        **evidence,
        "statement.dsse.json": sign(to_bytes(found), key),
        "signer.pem": pem_of(key.public_key()),
    }
    write_archive(folder / "b.tar", members)
    return folder / "b.tar"


STRANGE = {
    "deep": DEEP,
    "deep object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "null": b"null",
    "list": b"[]",
    "number": b"1",
    "not UTF-8": b"\xff\xfe",
    "half a pair": b'{"schema": "\\ud800"}',
    "empty object": b"{}",
    "deep YAML": b"[" * 5000 + b"]" * 5000,
    "aliases": b"a: &a [x]\nb: [*a, *a]\n",
    "pattern": b"data: {sources: [{path: '/**/*'}]}",
}


@pytest.mark.parametrize("member", ["report.json", "recipe.lock.json", "recipe.resolved.yaml"])
@pytest.mark.parametrize("name", STRANGE)
def test_evidence_that_cannot_be_read_is_one_claim(name: str, member: str, tmp_path: Path) -> None:
    found = check_bundle(bundle_of({member: STRANGE[name]}, tmp_path))

    failed = [claim for claim in found.claims if not claim.holds]
    assert [claim.what for claim in failed] == ["report, lock and recipe can be read"]
    assert failed[0].problem.isprintable()


@pytest.mark.parametrize(
    "statement",
    [
        {"_type": TYPE},
        {"_type": TYPE, "predicateType": PREDICATE_TYPE, "subject": 1, "predicate": 2},
        {"_type": TYPE, "predicateType": [], "subject": [], "predicate": {"evidence": []}},
        {
            "_type": TYPE,
            "predicateType": PREDICATE_TYPE,
            "subject": [{"name": 1, "digest": {"sha256": None}}],
            "predicate": {"evidence": []},
        },
        {
            "_type": TYPE,
            "predicateType": "\x1b[31m",
            "subject": [],
            "predicate": {"evidence": []},
        },
    ],
)
def test_a_statement_of_another_form_is_one_claim(statement: Any, tmp_path: Path) -> None:
    found = check_bundle(bundle_of({}, tmp_path, statement=statement))

    assert found.verdict is BundleVerdict.NOT_VERIFIED
    assert all(claim.problem.isprintable() for claim in found.claims)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("seed", range(150))
def test_broken_bytes_are_never_a_bug(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    path = bundle_of({"report.json": b'{"schema": "report.v1"}'}, tmp_path)
    whole = bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(whole))
        how = draw.randrange(3)
        if how == 0:
            whole[at] = draw.randrange(256)
        elif how == 1:
            del whole[at : at + draw.choice((1, 512, 700))]
        else:
            whole[at:at] = draw.choice((bytes(512), b"\xff" * 9, b"{" * 99))
    path.write_bytes(whole)

    assert check_bundle(path).verdict is BundleVerdict.NOT_VERIFIED


def test_a_file_that_changes_as_it_leaves_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"weights")
    digest = hashlib.sha256(b"other weights").hexdigest()

    with pytest.raises(ArchiveError, match=f"it should be {digest}"):
        write_archive(
            tmp_path / "a.tar",
            {"model/model.gguf": tmp_path / "model.gguf"},
            digests={"model/model.gguf": digest},
        )

    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.gguf"]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(bytes(3000))
    write_archive(
        tmp_path / "a.tar", {"b": json.dumps({}).encode(), "a/c": tmp_path / "model.gguf"}
    )

    found = read_archive(tmp_path / "a.tar")

    assert [(one.name, one.size) for one in found] == [("a/c", 3000), ("b", 2)]
    assert found[0].sha256 == hashlib.sha256(bytes(3000)).hexdigest()
