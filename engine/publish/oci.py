"""Publishing as an OCI artifact in the model format of ModelPack: a layout in a folder, or pushed to a registry.

Each file is a layer by itself, unpacked, with its path as an annotation, so equal files are stored once and any client
of the OCI distribution protocol fetches them. The same publication gives the same manifest.
Sources: OCI image-spec 1.1 (manifest, image layout), ModelPack model-spec v1 (media types, config).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.bundle.archive import ENDING
from engine.errors import RecipeError
from engine.files.writing import new_folder, require_absent
from engine.publish.card import PublishedFile
from engine.publish.contents import Publication
from engine.publish.destination import Destination, Note, Published, other_file
from engine.store import sha256_of
from engine.values import Value

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
ARTIFACT: Final = "application/vnd.cncf.model.manifest.v1+json"
CONFIG: Final = "application/vnd.cncf.model.config.v1+json"
WEIGHT: Final = "application/vnd.cncf.model.weight.v1.raw"
WEIGHT_CONFIG: Final = "application/vnd.cncf.model.weight.config.v1.raw"
DOC: Final = "application/vnd.cncf.model.doc.v1.raw"
FILE_PATH: Final = "org.cncf.model.filepath"
REF_NAME: Final = "org.opencontainers.image.ref.name"
WEIGHTS: Final = (".gguf", ".safetensors")
DOCS: Final = (
    "README.md",
    "SHA256SUMS",
    "holdout-counts.json",
    "report.html",
    "report.json",
    ENDING,
    ".sig",
    ".cdx.json",
)
TAG: Final = re.compile(r"[A-Za-z0-9_][\w.-]{0,127}")


class Descriptor(Value):
    """A blob: what it is, and where its bytes are."""

    media_type: str
    digest: str
    """`sha256:` and 64 hex digits."""
    size: int
    content: bytes | None = None
    path: Path | None = None
    """Of a file, where `content` is None."""
    annotations: Mapping[str, str] | None = None

    @classmethod
    def of(cls, media_type: str, content: bytes) -> Descriptor:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return cls(media_type=media_type, digest=digest, size=len(content), content=content)

    def to_json(self) -> dict[str, Any]:
        found = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return {**found, **({"annotations": dict(self.annotations)} if self.annotations else {})}


class OciArtifact(Value):
    """A publication as an artifact."""

    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return tuple({one.digest: one for one in (self.config, *self.layers)}.values())


def artifact_of(publication: Publication) -> OciArtifact:
    """Return a publication as an artifact; byte-equal for the same one."""
    layers = tuple(_layer(file) for file in publication.files)
    report = publication.report
    config = Descriptor.of(
        CONFIG,
        _json(
            {
                "descriptor": {
                    "createdAt": report.started,
                    "name": report.recipe_name,
                    "description": report.description,
                    "revision": publication.run.name,
                },
                "modelfs": {"type": "layers", "diffIds": [one.digest for one in layers]},
                "config": {
                    **_format(publication),
                    "capabilities": {"inputTypes": ["text"], "outputTypes": ["text"]},
                },
            }
        ),
    )
    annotations = {
        "org.opencontainers.image.created": report.started,
        "org.opencontainers.image.title": report.recipe_name,
        "org.opencontainers.image.description": report.description,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": config.to_json(),
        "layers": [one.to_json() for one in layers],
        "annotations": annotations,
    }
    return OciArtifact(
        manifest=Descriptor.of(MANIFEST, _json(manifest)), config=config, layers=layers
    )


def _layer(file: PublishedFile) -> Descriptor:
    kind = WEIGHT_CONFIG
    if file.name.endswith(WEIGHTS):
        kind = WEIGHT
    elif file.name.endswith(DOCS):
        kind = DOC
    return Descriptor(
        media_type=kind,
        digest=f"sha256:{file.sha256}",
        size=file.bytes,
        path=file.path,
        annotations={FILE_PATH: file.name, "org.opencontainers.image.title": file.name},
    )


def _format(publication: Publication) -> dict[str, str]:
    gguf = publication.file(".gguf")
    if publication.forms[0] != "gguf" or gguf is None:
        return {"format": "safetensors"}
    return {"format": "gguf", "quantization": Path(gguf.name).stem.removeprefix("model-")}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class OciLayout(Destination):
    """A new folder with an OCI image layout, which tools such as `oras`, `skopeo` and `crane` copy on."""

    folder: Path
    tag: str = "latest"

    def words(self) -> str:
        return f"an OCI layout in the new folder {self.folder}, tag {self.tag}"

    def check(self, publication: Publication) -> None:
        """RecipeError X830 where something stands there, R420 for no tag."""
        del publication
        if not TAG.fullmatch(self.tag):
            raise RecipeError.one(
                "R420", f"`{self.tag}` is no tag", hint="letters, digits, `_`, `.`, `-`"
            )
        require_absent(self.folder, code="X830", option="--name ./FOLDER")

    def publish(self, publication: Publication, note: Note) -> Published:
        """Write the layout whole or not at all, and read it back. RecipeError, StoreError X830; StoreError X832."""
        found = artifact_of(publication)
        with new_folder(self.folder, code="X830", option="--name ./FOLDER") as folder:
            blobs = folder / "blobs" / "sha256"
            blobs.mkdir(parents=True)
            for one in (*found.blobs, found.manifest):
                note(one.digest[:19])
                target = blobs / one.digest.removeprefix("sha256:")
                if one.path is not None:
                    shutil.copyfile(one.path, target)
                else:
                    target.write_bytes(one.content or b"")
            entry = {**found.manifest.to_json(), "artifactType": ARTIFACT}
            entry["annotations"] = {REF_NAME: self.tag}
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
            (folder / "index.json").write_bytes(_json(index))
            (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
            for target in sorted(blobs.iterdir()):
                if sha256_of(target) != target.name:
                    place = str(self.folder)
                    raise other_file(place, target.name, sent=target.name, found=sha256_of(target))
        return Published(
            place=f"{self.folder}:{self.tag}",
            digest=found.manifest.digest,
            read_back=len(found.blobs) + 1,
        )
