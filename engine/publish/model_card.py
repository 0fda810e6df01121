"""The card of a published model, its bill of materials (CycloneDX 1.6), and the signature of its files (OMS)."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from engine.bundle.tar_archive import ENDING
from engine.errors import EnvironmentProblem, RecipeError, first_line
from engine.evidence import Report
from engine.lock.file import Accepted
from engine.render.markdown import code, fenced, joined
from engine.render.report.card import render_card
from engine.render.styled_text import revealed
from engine.store import sha256_of
from engine.store.store import link_file
from engine.values import Value

FILE: Final = "model.sig"
MAKE: Final = "openssl ecparam -name prime256v1 -genkey -noout -out model-key.pem"


def sign_files(files: Sequence[PublishedFile], key: Path, target: Path) -> None:
    """Write the signature of the files, by the names that they are published under.

    Raises:
        EnvironmentProblem: X838 the library is not installed.
        RecipeError: X838 the key cannot be used.

    """
    try:
        from model_signing import hashing, signing  # not every publisher signs models
    except ImportError as error:
        raise EnvironmentProblem.one(
            "X838", "signing a model needs model-signing", hint="pip install model-signing"
        ) from error
    with tempfile.TemporaryDirectory(prefix="recipe-") as place:
        folder = Path(place) / "model"
        for file in files:
            (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
            link_file(file.path, folder / file.name)
        try:
            config = signing.Config().use_elliptic_key_signer(private_key=key)
            config.set_hashing_config(hashing.Config()).sign(folder, target)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise RecipeError.one(
                "X838", f"`{key.name}` cannot sign a model: {first_line(error)}", hint=MAKE
            ) from error


class PublishedFile(Value):
    """One file, by the name that it gets in the place."""

    name: str
    path: Path
    """The file's path on this machine."""
    bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, path: Path) -> PublishedFile:
        return cls(name=name, path=path, bytes=path.stat().st_size, sha256=sha256_of(path))


SUFFIX: Final = ".cdx.json"
SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
NAMESPACE: Final = uuid.UUID("7a2f9c52-3f0e-5d0c-9f55-0c5c7f2a4b11")
"""Namespace of serial numbers; drawn once."""


def bill_of(
    report: Report,
    files: Sequence[PublishedFile],
    accepted: Accepted | None,
    *,
    run: str,
) -> bytes:
    """Return the bill as JSON: the model, its files, its base model, its data and the software that made it."""
    model = f"{report.recipe_name}@{run}"
    parts = [
        *(_component("file", f"file:{one.name}", one.name, sha256=one.sha256) for one in files),
        _base(report, accepted),
        *_data(accepted),
        *_software(report),
    ]
    # its files are what it is; the others are what it was made of
    uses = [one["bom-ref"] for one in parts if one["type"] != "file"]
    bill = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, json.dumps([model, [f.sha256 for f in files]]))}",
        "version": 1,
        "metadata": {
            "timestamp": report.started,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": report.recipe_name,
                "version": run,
                "description": report.description,
                "properties": [{"name": "slm-recipe:outcome", "value": report.outcome}],
            },
        },
        "components": parts,
        "dependencies": [{"ref": model, "dependsOn": uses}, *({"ref": one} for one in uses)],
    }
    return (revealed(json.dumps(bill, indent=1, ensure_ascii=False)) + "\n").encode()


def _component(
    kind: str, ref: str, name: str, *, sha256: Any = None, **more: Any
) -> dict[str, Any]:
    hashes = {"hashes": [{"alg": "SHA-256", "content": sha256}]} if isinstance(sha256, str) else {}
    return {"type": kind, "bom-ref": ref, "name": name, **hashes, **more}


def _base(report: Report, accepted: Accepted | None) -> dict[str, Any]:
    facts: Mapping[str, Any] = accepted.base_model if accepted else {}
    known = facts.get("reference", {})
    version = {}
    if known.get("repo") and known.get("revision"):
        purl = f"pkg:huggingface/{known['repo']}@{known['revision']}"
        version = {"version": known["revision"], "purl": purl}
    files = [
        _component("file", f"base-model:{name}", name, sha256=digest)
        for name, digest in sorted(facts.get("files", {}).items())
        if isinstance(digest, str)
    ]
    kind = "machine-learning-model"
    return _component(kind, "base-model", report.base_model, **version, components=files)


def _data(accepted: Accepted | None) -> Iterator[dict[str, Any]]:
    for number, source in enumerate(accepted.sources if accepted else (), start=1):
        name = str(source.get("name") or f"source {number}")
        kind = [{"type": "dataset"}]
        yield _component("data", f"data:{number}", name, sha256=source.get("sha256"), data=kind)


def _software(report: Report) -> Iterator[dict[str, Any]]:
    for name, version in sorted(report.versions.items()):
        if name != "python" and version:
            # a local version such as 2.14.1+cpu has a sign that some readers take for a blank
            purl = f"pkg:pypi/{name}@{quote(version, safe='')}"
            yield _component("library", f"pypi:{name}", name, version=version, purl=purl)


RELATION: Final = {"gguf": "quantized", "merged": "finetune", "adapter": "adapter"}
"""The hub's names for what was made of the base model."""
LIBRARY: Final = {"gguf": "gguf", "merged": "transformers", "adapter": "peft"}


def published_card(report: Report, *, forms: Sequence[str], names: Sequence[str], key: str) -> str:
    """Return the card in Markdown, with YAML of the hub's metadata in front.

    `names` are the files beside it, `key` is the sha256 of the key that signed the bundle, empty for no bundle.
    """
    card = render_card(report, form=forms[0])
    relation = {"base_model_relation": RELATION[forms[0]]} if "\nbase_model: " in card else {}
    entries = {**relation, "library_name": LIBRARY[forms[0]]}
    front = "".join(f"{name}: {json.dumps(value)}\n" for name, value in entries.items())
    card = card.replace("---\n", f"---\n{front}", 1)
    return joined([card.rstrip("\n"), *_published(report, forms, names, key)]) + "\n"


def _published(report: Report, forms: Sequence[str], names: Sequence[str], key: str) -> list[str]:
    bundle = f"{report.recipe_name}{ENDING}"
    parts = [
        "## Files",
        f"Published as {', '.join(map(code, forms))}: {', '.join(map(code, names))}.",
    ]
    model = next((name for name in names if name.endswith((".gguf", ".safetensors"))), None)
    commands = ["sha256sum -c SHA256SUMS"]
    if "model.sig" in names:
        commands.append(
            "model_signing verify key . --signature model.sig --ignore_unsigned_files "
            "--public_key KEY.pub"
        )
    if bundle in names and model:
        signed = f" --key {key}" if key else ""
        commands.append(f"recipe verify {bundle} --model {model}{signed}")
        parts.append("The bundle holds the signed evidence. Check files and evidence offline:")
    else:
        parts.append("Check the files:")
    return [*parts, fenced("\n".join(commands), "console")]
