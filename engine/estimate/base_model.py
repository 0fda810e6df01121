"""Where the base model stands on this machine, if it does: in a local folder or file, or in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.estimate.shape import ModelShape, shape_of_folder, shape_of_gguf
from engine.recipe.model import HubRef, PackageRef, PathRef, Reference
from engine.runtime.models.base_model import FOLDER, REVISION
from engine.store import Store, product_key

UNKNOWN = (
    "the base model is not on this machine yet: `recipe data` fetches its config and tokenizer"
)


def shape_of(ref: Reference, store: Store) -> ModelShape | None:
    """Return the shape of a base model that is here already; None where a run would have to fetch it."""
    if isinstance(ref, HubRef):
        return _hub(ref, store)
    if isinstance(ref, PathRef):
        return (
            None
            if ref.withheld
            else _path(ref.path, {"sha256": ref.sha256} if ref.sha256 else {}, store)
        )
    return _package(ref, store)


def _hub(ref: HubRef, store: Store) -> ModelShape | None:
    # The payload of `runtime.models.base_model`: with any other, what a run stored is never found.
    payload = {"hub": ref.repo, "revision": ref.revision, "made": REVISION}
    for product in ("base-model", "tokenizer"):
        folder = _product(product, payload, store)
        found = shape_of_folder(folder / FOLDER) if folder else None
        if found:
            return found
    return None


def _path(path: Path, identity: dict[str, Any], store: Store) -> ModelShape | None:
    if path.is_dir():
        return shape_of_folder(path)
    made = _made(identity, store) if identity else None
    return shape_of_folder(made) if made else shape_of_gguf(path)


def _package(ref: PackageRef, store: Store) -> ModelShape | None:
    if ref.sha256 is not None:
        pins = {"name": ref.name, "version": ref.version, "sha256": ref.sha256, "file": ref.file}
        if made := _made(pins, store):
            return shape_of_folder(made)
    wanted = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}
    archive = store.get(product_key("package", wanted).digest)
    if archive is None:
        return None
    unpacked = {"archive": archive.files[0].sha256, "file": ref.file}
    folder = _product("package_file", unpacked, store)
    files = [path for path in folder.iterdir() if path.is_file()] if folder else []
    return shape_of_gguf(files[0]) if files else None


def _made(identity: dict[str, Any], store: Store) -> Path | None:
    """Return the folder of a base model that was made of another form."""
    found = _product("base-model", {**identity, "made": REVISION}, store)
    return found / FOLDER if found else None


def _product(name: str, payload: dict[str, Any], store: Store) -> Path | None:
    found = store.get(product_key(name, payload).digest)
    return found.path if found else None
