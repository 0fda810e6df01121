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

from engine.bundle.tar_archive import ENDING
from engine.errors import EnvironmentProblem, RecipeError
from engine.files.leases import temporary_folder
from engine.files.writing import new_folder, require_absent
from engine.process import start as processes
from engine.publish.model_card import PublishedFile
from engine.publish.publication import Destination, Note, Publication, Published, other_file
from engine.store import sha256_of
from engine.trust.hosts import Address, parse_address
from engine.values import Value

COMMAND: Final = "oras"
PATH: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
ABSENT: Final = re.compile("(?<!message )not found")
"""Pattern in the last line of `oras` where nothing is there; some answers have `no recognizable error message`."""
SECONDS: Final = 6 * 3600.0
"""Seconds for one call, which may send or fetch a whole model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry(Destination):
    """A tag of a repository in a registry."""

    name: str
    """HOST[:PORT]/REPOSITORY[:TAG]"""

    def __post_init__(self) -> None:
        """RecipeError R420 for what is no place in a registry."""
        try:
            self._parts()
        except ValueError as error:
            hint = "--name HOST[:PORT]/REPOSITORY[:TAG], or ./FOLDER for a layout"
            message = f"`{self.name}` is no place in a registry: {error}"
            raise RecipeError.one("R420", message, hint=hint) from error

    def _parts(self) -> tuple[Address, str, str]:
        """Return host, repository and tag; ValueError."""
        host, _, rest = self.name.partition("/")
        repository, _, tag = rest.partition(":")
        if not PATH.fullmatch(repository) or not TAG.fullmatch(tag or "latest"):
            raise ValueError("the repository is in small letters, and a tag follows `:`")
        return parse_address(f"https://{host}"), repository, tag or "latest"

    def words(self) -> str:
        address, repository, tag = self._parts()
        readers = "who may read it is the registry's setting"
        return f"the registry {address.name}, {repository}:{tag}; {readers}"

    def check(self, publication: Publication) -> None:
        """EnvironmentProblem X835 where there is no `oras`."""
        del publication
        if shutil.which(COMMAND) is None:
            hint = "install it from oras.land, or publish a layout: --name ./FOLDER"
            raise EnvironmentProblem.one("X835", "there is no command `oras`", hint=hint)

    def publish(self, publication: Publication, note: Note) -> Published:
        """Push a layout, fetch it again and compare. RecipeError X830; EnvironmentProblem X835; StoreError X832."""
        address, repository, tag = self._parts()
        place = f"{self.name.partition('/')[0]}/{repository}"
        # `oras` itself takes a registry of this machine without encryption, and no other
        known = self._asked(
            "manifest", "fetch", "--descriptor", f"{place}:{tag}", may_be_absent=True
        )
        with temporary_folder() as work:
            made = OciLayout(folder=work / "sent").publish(publication, note)
            if known and made.digest not in known:
                hint = f"name another tag: --name {place}:TAG"
                raise RecipeError.one(
                    "X830", f"the tag `{tag}` is there already, with another model", hint=hint
                )
            note(f"pushing {publication.bytes:,} bytes")
            self._asked("copy", "--from-oci-layout", f"{made.place}", f"{place}:{tag}")
            note("reading it back")
            back = work / "back"
            self._asked("copy", "--to-oci-layout", f"{place}@{made.digest}", f"{back}:latest")
            for sent in sorted((work / "sent" / "blobs" / "sha256").iterdir()):
                copy = back / "blobs" / "sha256" / sent.name
                found = sha256_of(copy) if copy.is_file() else "nothing"
                if found != sent.name:
                    raise other_file(self.name, sent.name, sent=sent.name, found=found)
        return Published(
            place=f"{address.name}/{repository}:{tag}",
            digest=made.digest,
            read_back=made.read_back,
            lines=(f"by its digest: {place}@{made.digest}",),
        )

    def _asked(self, *words: str, may_be_absent: bool = False) -> str:
        """Return what `oras` writes; empty for what is not there. EnvironmentProblem X835."""
        variables = processes.environment(prefixes=("ORAS_", "DOCKER_"))
        try:
            answer = processes.ask(
                processes.program(COMMAND)(*words), variables=variables, seconds=SECONDS
            )
        except OSError as error:
            why = error.strerror or str(error)
        else:
            if answer.status == 0:
                return answer.text
            if may_be_absent and ABSENT.search(answer.last_error):
                return ""
            why = answer.last_error or "no answer"
        raise EnvironmentProblem.one(
            "X835",
            f"`oras {words[0]}` fails: {why[:300]}",
            hint=f"a registry wants a login first: oras login {self.name.partition('/')[0]}",
        )


MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
ARTIFACT: Final = "application/vnd.cncf.model.manifest.v1+json"
CONFIG: Final = "application/vnd.cncf.model.config.v1+json"
WEIGHT: Final = "application/vnd.cncf.model.weight.v1.raw"
WEIGHT_CONFIG: Final = "application/vnd.cncf.model.weight.config.v1.raw"
DOC: Final = "application/vnd.cncf.model.doc.v1.raw"
FILE_PATH: Final = "org.cncf.model.filepath"
REF_NAME: Final = "org.opencontainers.image.ref.name"
KINDS: Final = {
    WEIGHT: (".gguf", ".safetensors"),
    DOC: (
        *("README.md", "SHA256SUMS", "holdout-counts.json", "report.html", "report.json"),
        *(ENDING, ".sig", ".cdx.json"),
    ),
}
"""Kinds of layers by the end of a file's name; others are `WEIGHT_CONFIG`."""
TAG: Final = re.compile(r"[A-Za-z0-9_][\w.-]{0,127}")


class Descriptor(Value):
    """A blob: what it is, and where its bytes are."""

    media_type: str
    digest: str
    """`sha256:` and 64 hex digits."""
    size: int
    content: bytes | None = None
    path: Path | None = None
    """The file, where `content` is None."""
    annotations: Mapping[str, str] | None = None

    @classmethod
    def of(cls, media_type: str, content: bytes) -> Descriptor:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return cls(media_type=media_type, digest=digest, size=len(content), content=content)

    def to_json(self) -> dict[str, Any]:
        found = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return {**found, **({"annotations": dict(self.annotations)} if self.annotations else {})}


def artifact_of(publication: Publication) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """Return the manifest of a publication and its blobs; byte-equal for the same one."""
    layers = tuple(_layer(file) for file in publication.files)
    report, gguf = publication.report, publication.file(".gguf")
    form = {"format": "safetensors"}
    if publication.forms[0] == "gguf" and gguf is not None:
        form = {"format": "gguf", "quantization": Path(gguf.name).stem.removeprefix("model-")}
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
                    **form,
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
    blobs = {one.digest: one for one in (config, *layers)}
    return Descriptor.of(MANIFEST, _json(manifest)), tuple(blobs.values())


def _layer(file: PublishedFile) -> Descriptor:
    kinds = (kind for kind, endings in KINDS.items() if file.name.endswith(endings))
    return Descriptor(
        media_type=next(kinds, WEIGHT_CONFIG),
        digest=f"sha256:{file.sha256}",
        size=file.bytes,
        path=file.path,
        annotations={FILE_PATH: file.name, "org.opencontainers.image.title": file.name},
    )


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
        manifest, layers = artifact_of(publication)
        with new_folder(self.folder, code="X830", option="--name ./FOLDER") as folder:
            blobs = folder / "blobs" / "sha256"
            blobs.mkdir(parents=True)
            for one in (*layers, manifest):
                note(one.digest[:19])
                target = blobs / one.digest.removeprefix("sha256:")
                if one.path is not None:
                    shutil.copyfile(one.path, target)
                else:
                    target.write_bytes(one.content or b"")
            entry = {**manifest.to_json(), "artifactType": ARTIFACT}
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
            digest=manifest.digest,
            read_back=len(layers) + 1,
        )
