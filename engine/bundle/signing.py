"""Keys and signatures: an ed25519 key of the user's own, and DSSE envelopes around what is signed.

The key is made when it is first needed and never leaves the user's configuration folder. A signature
shows that the holder of a key signed these bytes; whose key it is has to be known otherwise. The library for it
is an extra, imported where it is used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError, EnvironmentProblem, RecipeError, StoreError, install_hint
from engine.evidence import Report, Verdict
from engine.files.reading import config_folder, parse_json, read_bytes
from engine.lock.file import Accepted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519

TYPE = "https://in-toto.io/Statement/v1"
_MADE_WITH = ("versions", "hardware", "threads", "precision")
PREDICATE_TYPE = "urn:slm-recipe:accepted-model:v1"


def statement_of(
    report: Report,
    accepted: Accepted,
    evidence: Mapping[str, bytes],
    *,
    written_with: str | None = None,
) -> dict[str, Any]:
    """Return the statement of an accepted run; `written_with` is the version that wrote the pages, None for unknown.

    Its subjects are the files of the model: those that leave, and what was trained. The predicate says
    how they were judged, from what they were made, and which files of the bundle tell more.
    """
    gates = {"gate": report.gate, "verify": report.verify}
    return {
        "_type": TYPE,
        "subject": _named({**accepted.adapter, **accepted.files}),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "recipe": {
                "name": report.recipe_name,
                "digest": {"sha256": accepted.recipe["digest"]},
                "seed": accepted.recipe["seed"],
            },
            "outcome": report.outcome,
            "started": report.started,
            "accepted": accepted.finished,
            "reproduction": report.reproduction.verdict.value if report.reproduction else None,
            "verdicts": {name: _verdict(gate) for name, gate in gates.items() if gate},
            "metrics": dict(accepted.metrics),
            "noise": dict(accepted.spread),
            "made_from": {
                "base_model": dict(accepted.base_model),
                "sources": [dict(source) for source in accepted.sources],
                "config": {"sha256": accepted.config},
            },
            "made_with": {name: getattr(accepted, name) for name in _MADE_WITH},
            # the first bundles did not say it
            **({"pages_written_with": written_with} if written_with else {}),
            "evidence": _named(
                {name: hashlib.sha256(data).hexdigest() for name, data in evidence.items()}
            ),
        },
    }


def to_bytes(statement: Mapping[str, Any]) -> bytes:
    """Return the statement as it is signed: byte-equal for equal content."""
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _verdict(gate: Verdict) -> dict[str, Any]:
    checks = [
        {
            "name": check.name,
            "status": check.status.value,
            "got": check.got,
            "interval": [check.interval.low, check.interval.high] if check.interval else None,
            "decided_on": check.decided_on,
            check.direction: check.bound,
            "rows": check.n,
        }
        for check in gate.checks
    ]
    return {"status": gate.status.value, "checks": checks}


def _named(digests: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "digest": {"sha256": one}} for name, one in sorted(digests.items())]


PAYLOAD_TYPE = "application/vnd.in-toto+json"
FILE = "signing-key.pem"
KNOWN = "known-keys"
"""In the user's configuration folder: public keys (PEM) whose signatures the user takes for known."""
MOST_KEYS = 1000
MOST_BYTES = 65_536


def key_place() -> Path:
    return config_folder() / FILE


def known_signers() -> frozenset[str]:
    """Return the ids of the keys that the user knows: their own, and those in their folder of known keys."""
    found = set()
    # a key that cannot be read makes no signer known, and is no reason to stop
    with suppress(EngineError):
        if key_place().is_file():
            found.add(key_id(own_key(None)[0].public_key()))
    folder = config_folder() / KNOWN
    for path in islice(sorted(folder.glob("*.pem")) if folder.is_dir() else (), MOST_KEYS):
        with suppress(EngineError, OSError):
            found.add(key_id(public_key(read_bytes(path, limit=MOST_BYTES), path.name)))
    return frozenset(found)


def own_key(path: Path | None) -> tuple[ed25519.Ed25519PrivateKey, bool]:
    """Return the key at `path`, or the user's own; whether it was made just now.

    RecipeError: X661 the file is no ed25519 key. StoreError: X662 a new key cannot be written. EnvironmentProblem:
    X660 the library is missing.
    """
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    place = path or key_place()
    if path is None and not place.exists():
        made = Ed25519PrivateKey.generate()
        text = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # new and private from the first moment: others never get to read it
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(text)
        except OSError as error:
            raise StoreError.one(
                "X662",
                f"a new signing key cannot be kept: {error.strerror or error}",
                hint="name a key of yours with --key FILE",
            ) from error
        return made, True
    try:
        key = load_pem_private_key(read_bytes(place, limit=MOST_BYTES), password=None)
    # TypeError: the key is encrypted
    except (OSError, ValueError, TypeError) as error:
        raise _no_key(place, str(getattr(error, "strerror", "") or error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(place, "it is a key of another kind")
    return key, False


def public_key(data: bytes, name: str) -> ed25519.Ed25519PublicKey:
    """Return the public key of a PEM text. RecipeError X661 for anything else."""
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(Path(name), "it is no public key") from error
    # one spelling: behind the key the file could hold another one
    if not isinstance(key, Ed25519PublicKey) or pem_of(key) != data:
        raise _no_key(Path(name), "it is not an ed25519 key alone, as PEM")
    return key


def pem_of(key: ed25519.Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: ed25519.Ed25519PublicKey) -> str:
    """Return the sha256 of a public key (DER, SubjectPublicKeyInfo): what people compare."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def sign(payload: bytes, key: ed25519.Ed25519PrivateKey) -> bytes:
    """Return a DSSE envelope: byte-equal for the same payload and key."""
    texts = [base64.b64encode(one).decode() for one in (payload, key.sign(_signed(payload)))]
    signature = {"keyid": key_id(key.public_key()), "sig": texts[1]}
    return _written({"payload": texts[0], "payloadType": PAYLOAD_TYPE, "signatures": [signature]})


def _signed(payload: bytes) -> bytes:
    """Return the bytes that a signature of DSSE is of."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _written(envelope: Mapping[str, Any]) -> bytes:
    return (json.dumps(envelope, indent=1, sort_keys=True) + "\n").encode()


def checked(envelope: bytes, key: ed25519.Ed25519PublicKey) -> bytes:
    """Return the payload of an envelope. ValueError: it is no envelope of ours, or the key did not sign it."""
    from cryptography.exceptions import InvalidSignature

    try:
        data: dict[str, Any] = parse_json(envelope)
        (signature,) = data["signatures"]
        texts = [data["payload"], signature["sig"]]
        payload, signed = (base64.b64decode(text, validate=True) for text in texts)
        plain = [base64.b64encode(one).decode() for one in (payload, signed)]
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise ValueError("it is no signed envelope") from error
    if plain != texts or data.keys() != {"payload", "payloadType", "signatures"}:
        raise ValueError("it is no signed envelope")
    if data["payloadType"] != PAYLOAD_TYPE:
        raise ValueError("it is not an envelope of one in-toto statement with one signature")
    try:
        key.verify(signed, _signed(payload))
    except InvalidSignature as error:
        raise ValueError("the signature is not that of the key") from error
    if signature != {"keyid": key_id(key), "sig": signature["sig"]}:
        raise ValueError("the signature names another key")
    # one spelling only: else bytes of the envelope could change without breaking the signature
    if _written(data) != envelope:
        raise ValueError("the envelope is not written as ours are")
    return payload


def require_cryptography() -> None:
    """EnvironmentProblem X660 where the library that signs and checks signatures is not installed."""
    from importlib.util import find_spec  # only where something is signed

    if find_spec("cryptography") is None:
        raise EnvironmentProblem.one(
            "X660", "signatures need cryptography", hint=install_hint("bundle")
        )


def _no_key(place: Path, why: str) -> RecipeError:
    return RecipeError.one(
        "X661",
        f"`{place.name}` cannot be used as an ed25519 key: {why}",
        hint="openssl genpkey -algorithm ed25519 -out key.pem",
    )
