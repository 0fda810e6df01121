"""Bundles that somebody changed, as a table: each file in each way, signed or not, numbers, archives."""

import base64
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.bundle.build import make_bundle
from engine.bundle.contents import CONFIG, EVIDENCE, KEY, STATEMENT
from engine.bundle.row_table import ROWS
from engine.bundle.signing import key_id, pem_of, sign, to_bytes
from engine.bundle.tar_archive import read_archive, write_archive
from engine.bundle.verification import BundleVerdict, check_bundle
from engine.errors import EngineError
from support.contradictions import CONTRADICTIONS
from support.forged_bundles import LOCK, REPORT, RESOLVED, Forge
from support.run_once import accepted_once, run_once
from support.runs import run_folders
from support.tampering import Tampering

Files = dict[str, bytes]
VERIFIED, CONSISTENT, SIGNED, NOT = (one.value for one in BundleVerdict)
GGUF = "model/model-Q4_K_M.gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundles:
    """An accepted run in a bundle, and one of another run by another maker."""

    run: Path
    """The folder of the run."""
    path: Path
    """The bundle, without its model."""
    whole: Path
    """The bundle with its model."""
    other: Files
    """Members of a bundle of the other run."""
    key: Ed25519PrivateKey
    files: Files = field(default_factory=dict)

    def forge(self) -> Forge:
        found = dict(self.files)
        report, lock = (json.loads(found[name]) for name in (REPORT, LOCK))
        return Forge(files=found, report=report, lock=lock)


Change = Callable[[Files, Bundles], None]
Case = Tampering[Bundles]


def material(folder: Path) -> Bundles:
    """Bundle the accepted run, and the same model under another threshold by somebody else."""
    first = accepted_once()
    again = run_once(
        "accepted-again",
        lambda project: project.edit(acceptance__metrics={"macro_f1": {"min": 0.02}}),
        start=first,
    )
    keys = []
    for name in ("maker", "other"):
        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.pem").write_bytes(text)
        keys.append(key)
    (run,), (*_, later) = (run_folders(one.folder / ".recipe") for one in (first, again))
    maker = folder / "maker.pem"
    path = make_bundle(run, folder / "a.tar", key=maker).file
    whole = make_bundle(run, folder / "whole.tar", key=maker, with_model=True).file
    make_bundle(later, folder / "other.tar", key=folder / "other.pem")
    return Bundles(
        run=run,
        path=path,
        whole=whole,
        other=members(folder / "other.tar"),
        key=keys[0],
        files=members(path),
    )


def members(path: Path) -> Files:
    return {one.name: one.data or b"" for one in read_archive(path)}


def outcome_of(path: Path, key: str | None = None) -> str:
    """What the engine says of a bundle."""
    try:
        return check_bundle(path, key=key).verdict.value
    except EngineError as error:
        return error.problems[0].code


def changed(change: Change, bundles: Bundles, folder: Path) -> str:
    """Change members and leave signature and statement as they are."""
    found = dict(bundles.files)
    change(found, bundles)
    write_archive(folder / "b.tar", found)
    return outcome_of(folder / "b.tar")


def signed_again(change: Change, bundles: Bundles, folder: Path) -> str:
    """Change members and sign all anew: statement, pages and digests fit what the files say now."""
    forge = bundles.forge()
    change(forge.files, bundles)
    for name in (REPORT, LOCK):
        if forge.files.get(name, b"") != bundles.files[name]:
            forge.raw.add(name)
    return outcome_of(forge.signed(folder / "b.tar"))


def edited(name: str, files: Files, _: Bundles) -> None:
    files[name] += b"\n"


def one_bit(name: str, files: Files, _: Bundles) -> None:
    whole = bytearray(files[name])
    whole[len(whole) // 2] ^= 1
    files[name] = bytes(whole)


def removed(name: str, files: Files, _: Bundles) -> None:
    del files[name]


def emptied(name: str, files: Files, _: Bundles) -> None:
    files[name] = b""


def exchanged(name: str, files: Files, bundles: Bundles) -> None:
    assert files[name] != bundles.other[name]
    files[name] = bundles.other[name]


def renamed(name: str, files: Files, _: Bundles) -> None:
    files[f"{name}.txt"] = files.pop(name)


def collides(name: str, files: Files, _: Bundles) -> None:
    files[name.swapcase()] = b"what another system reads"


ALIKE = (CONFIG, ROWS)
"""Both runs have the same ones: the model is one."""


def _files() -> Iterator[Case]:
    every = (*EVIDENCE, ROWS, STATEMENT, KEY)
    ways: dict[str, tuple[Any, tuple[str, ...]]] = {
        "edited": (edited, every),
        "one bit": (one_bit, every),
        "removed": (removed, every),
        "emptied": (emptied, every),
        "of another run": (exchanged, tuple(name for name in every if name not in ALIKE)),
        "renamed": (renamed, every),
        "with a name of other case beside it": (collides, every),
    }
    for way, (change, names) in ways.items():
        for name in names:
            got = partial(changed, partial(change, name))
            yield Case(group=f"file {way}", what=name, expected=NOT, got=got)
    again = {"edited": edited, "removed": removed, "emptied": emptied, "of another run": exchanged}
    for way, change in again.items():
        for name in (*EVIDENCE, ROWS):
            if change is exchanged and name in ALIKE:
                continue
            got = partial(signed_again, partial(change, name))
            # a bundle may be made without rows, and then says that nothing was recomputed
            expected = SIGNED if (change, name) == (removed, ROWS) else NOT
            yield Case(group=f"file {way}, signed again", what=name, expected=expected, got=got)


def _numbers() -> Iterator[Case]:
    def got(what: str, bundles: Bundles, folder: Path) -> str:
        forge = bundles.forge()
        CONTRADICTIONS[what][0](forge)
        return outcome_of(forge.signed(folder / "b.tar"))

    for what in CONTRADICTIONS:
        yield Case(group="signed again", what=what, expected=NOT, got=partial(got, what))


def raw(name: str, old: bytes, new: bytes, files: Files, _: Bundles) -> None:
    assert files[name].count(old) >= 1, name
    files[name] = files[name].replace(old, new, 1)


def _texts() -> Iterator[Case]:
    cases: dict[str, Change] = {
        "a key of the report twice": partial(
            raw, REPORT, b'"outcome": "accepted"', b'"outcome": "refused",\n  "outcome": "accepted"'
        ),
        "a key of the lock twice": partial(
            raw, LOCK, b'"rows": 140', b'"rows": 1,\n    "rows": 140'
        ),
        "a key of the resolved recipe twice": partial(
            raw, RESOLVED, b"name: tiny", b"name: better\nname: tiny"
        ),
        "a field of the report nobody knows": partial(
            raw, REPORT, b'"outcome":', b'"certified": true,\n  "outcome":'
        ),
        "a field of the lock nobody knows": partial(
            raw, LOCK, b'"finished":', b'"certified": true,\n    "finished":'
        ),
        "no number in the report": partial(raw, REPORT, b'"seconds": ', b'"seconds": NaN, "x": '),
        "a comment in the resolved recipe": partial(
            raw, RESOLVED, b"name: tiny", b"# certified\nname: tiny"
        ),
        "a mark of byte order": lambda files, _: files.update(
            {REPORT: b"\xef\xbb\xbf" + files[REPORT]}
        ),
        "other spaces in the lock": lambda files, _: files.update(
            {LOCK: json.dumps(json.loads(files[LOCK])).encode()}
        ),
        "a weaker bound in the resolved recipe": partial(
            raw, RESOLVED, b"min: 0.01", b"min: 0.001"
        ),
        "another seed in the resolved recipe": partial(raw, RESOLVED, b"seed: 7", b"seed: 8"),
    }
    for what, change in cases.items():
        got = partial(signed_again, change)
        yield Case(group="text of a file, signed again", what=what, expected=NOT, got=got)


def _signatures() -> Iterator[Case]:
    def envelope(change: Callable[[dict[str, Any]], Any], files: Files, _: Bundles) -> None:
        value = json.loads(files[STATEMENT])
        change(value)
        files[STATEMENT] = (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()

    def by(payload: Callable[[bytes], bytes], files: Files, _: Bundles) -> None:
        key = Ed25519PrivateKey.generate()
        whole = base64.b64decode(json.loads(files[STATEMENT])["payload"])
        files[STATEMENT], files[KEY] = sign(payload(whole), key), pem_of(key.public_key())

    def stated(**facts: Any) -> Callable[[bytes], bytes]:
        return lambda payload: to_bytes({**json.loads(payload), **facts})

    def other_signer(files: Files, _: Bundles) -> None:
        files[KEY] = pem_of(Ed25519PrivateKey.generate().public_key())

    def two_keys(files: Files, bundles: Bundles) -> None:
        files[KEY] += bundles.other[KEY]

    def statement_of_another(files: Files, bundles: Bundles) -> None:
        files |= {name: bundles.other[name] for name in (STATEMENT, KEY)}

    twice = b'{"_type":"x",'
    cases: dict[str, Change] = {
        "no signature": partial(envelope, lambda value: value.update(signatures=[])),
        "a signature twice": partial(
            envelope, lambda value: value.update(signatures=value["signatures"] * 2)
        ),
        "the signature of nothing": partial(
            envelope, lambda value: value["signatures"][0].update(sig="")
        ),
        "another type of payload": partial(
            envelope, lambda value: value.update(payloadType="text/plain")
        ),
        "a field beside the payload": partial(envelope, lambda value: value.update(note="x")),
        "another key in the place of the maker's": other_signer,
        "two keys in one file": two_keys,
        "statement and key of another run": statement_of_another,
        "a key of the statement twice, signed again": partial(
            by, lambda payload: payload.replace(b"{", twice, 1)
        ),
        "no subjects, signed again": partial(by, stated(subject=[])),
        "a subject more, signed again": partial(
            by, stated(subject=[{"name": "x", "digest": {"sha256": "0" * 64}}])
        ),
        "another predicate, signed again": partial(by, stated(predicateType="urn:x")),
        "no statement, signed again": partial(by, lambda _: b"[]"),
    }
    for what, change in cases.items():
        yield Case(group="signature", what=what, expected=NOT, got=partial(changed, change))


def _archives() -> Iterator[Case]:
    def with_member(kind: bytes, name: str, bundles: Bundles, folder: Path) -> str:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "../../etc/passwd"
        head = info.tobuf(tarfile.GNU_FORMAT)
        (folder / "b.tar").write_bytes(head + bundles.path.read_bytes())
        return outcome_of(folder / "b.tar")

    names = {
        "a path upwards": "../README.md",
        "an absolute path": "/README.md",
        "a path twice": "README.md",
    }
    kinds = {"a link": tarfile.SYMTYPE, "a hard link": tarfile.LNKTYPE, "a pipe": tarfile.FIFOTYPE}
    for what, name in names.items():
        got = partial(with_member, tarfile.REGTYPE, name)
        yield Case(group="archive", what=what, expected=NOT, got=got)
    for what, kind in kinds.items():
        got = partial(with_member, kind, "A.md")
        yield Case(group="archive", what=what, expected=NOT, got=got)

    def bytes_of(change: Callable[[bytes], bytes], bundles: Bundles, folder: Path) -> str:
        (folder / "b.tar").write_bytes(change(bundles.path.read_bytes()))
        return outcome_of(folder / "b.tar")

    def huge(name: str, bundles: Bundles, folder: Path) -> str:
        info = tarfile.TarInfo(name)
        info.size = 1 << 36
        with (folder / "b.tar").open("wb") as stream:
            stream.write(info.tobuf(tarfile.GNU_FORMAT))
            stream.truncate((1 << 36) + 4096)
        return outcome_of(folder / "b.tar")

    changes: dict[str, Callable[[bytes], bytes]] = {
        "its last block cut off": lambda whole: whole[:-512],
        "something behind its end": lambda whole: whole + bytes(512),
        "its first member twice": lambda whole: whole[:1024] + whole,
        "nothing": lambda _: b"",
    }
    for what, change in changes.items():
        yield Case(group="archive", what=what, expected=NOT, got=partial(bytes_of, change))
    got = partial(huge, "README.md")
    yield Case(group="archive", what="64 GiB of holes as model card", expected=NOT, got=got)


def _models() -> Iterator[Case]:
    def flipped(again: bool, bundles: Bundles, folder: Path) -> str:
        found = members(bundles.whole)
        one_bit(GGUF, found, bundles)
        if again:
            forge = bundles.forge()
            forge.files |= {name: data for name, data in found.items() if name.startswith("model/")}
            return outcome_of(forge.signed(folder / "b.tar"))
        write_archive(folder / "b.tar", found)
        return outcome_of(folder / "b.tar")

    for what, again in {"a bit of the GGUF file": False, "the same, signed again": True}.items():
        yield Case(group="model", what=what, expected=NOT, got=partial(flipped, again))


def _keys() -> Iterator[Case]:
    """Who signed: nothing was changed, or everything fits."""

    def named(again: bool, key: str, bundles: Bundles, folder: Path) -> str:
        path = bundles.forge().signed(folder / "b.tar") if again else bundles.path
        maker = key_id(bundles.key.public_key())
        return outcome_of(path, {"maker": maker, "nobody": None, "another": "0" * 64}[key])

    cases = (
        ("untouched, its maker's key named", False, "maker", VERIFIED),
        ("untouched, no key named", False, "nobody", CONSISTENT),
        ("untouched, another key named", False, "another", NOT),
        ("signed again by somebody, no key named", True, "nobody", CONSISTENT),
        ("signed again by somebody, its maker's key named", True, "maker", NOT),
    )
    for what, again, key, expected in cases:
        yield Case(group="key", what=what, expected=expected, got=partial(named, again, key))


CASES: tuple[Case, ...] = (
    *_keys(), *_files(), *_texts(), *_numbers(), *_signatures(), *_archives(), *_models(),
)  # fmt: skip
"""Every case, untouched bundles first."""
