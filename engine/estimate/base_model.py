"""Where the base model stands on this machine, if it does: in a local folder or file, or in the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.estimate.shape import (
    ModelShape,
    blank_shape,
    shape_of_folder,
    shape_of_gguf,
    with_layers,
)
from engine.recipe.model import (
    BaseModel,
    FewerLayers,
    HubRef,
    NewTokenizer,
    PackageRef,
    PathRef,
    Reference,
    Scratch,
)
from engine.recipe.references import base_reference
from engine.runtime.models.base_model import FOLDER, REVISION
from engine.store import Store, product_key
from engine.training.teacher_tokens import tokens_in

MADE = ("base-model", "tokenizer")
"""The products that hold a base model, and those that hold its tokenizer alone."""
UNKNOWN = (
    "the base model is not on this machine yet: `recipe data` fetches its config and tokenizer"
)

NO_FOLDER = "the base model's folder is not there, or this recipe may not read it"


def why_unknown(base: BaseModel) -> str:
    """Return why the shape of a base model is not known, and what to do where it has to be fetched."""
    return NO_FOLDER if isinstance(base_reference(base), PathRef) else UNKNOWN


def shape_of(base: BaseModel, store: Store) -> ModelShape | None:
    """Return the shape of a base model that is here already; None where a run would have to fetch it."""
    if isinstance(base, Scratch):
        return _blank(base, store)
    if isinstance(base, FewerLayers):
        whole = _of_reference(base.of, store)
        return with_layers(whole, base.keep_layers) if whole else None
    return _of_reference(base, store)


def _blank(blank: Scratch, store: Store) -> ModelShape | None:
    """Return the shape of a blank model; None where its tokenizer, which may be large, is not here yet."""
    if isinstance(blank.tokenizer, NewTokenizer):
        words: int | None = blank.tokenizer.size
    else:
        words = _words(blank.tokenizer, store)
    return blank_shape(blank, words) if words else None


def _words(ref: Reference, store: Store) -> int | None:
    file = tokenizer_file(ref, store)
    if file is None:
        return None
    return len(tokens_in(file)) or None


def _of_reference(ref: Reference, store: Store) -> ModelShape | None:
    if isinstance(ref, HubRef):
        return _hub(ref, store)
    if isinstance(ref, PathRef):
        return None if ref.withheld else _path(ref.path, _payload(ref), store)
    return _package(ref, store)


def tokenizer_file(base: BaseModel, store: Store, sha256: str | None = None) -> Path | None:
    """Return the tokenizer.json of a base model that is here already; None where a run would have to make or fetch it.

    `sha256` is that of a local file whose reference pins none.
    """
    ref = base_reference(base)
    if ref is None:  # it is made of the rows
        return None
    if isinstance(ref, PathRef) and ref.withheld:
        return None
    if isinstance(ref, PathRef) and ref.path.is_dir():
        folders = [ref.path]
    else:
        payload = _payload(ref) or ({"sha256": sha256} if sha256 else None)
        made = [_made(payload, store, product) for product in MADE] if payload else []
        folders = [folder for folder in made if folder]
    files = (folder / "tokenizer.json" for folder in folders)
    return next((file for file in files if file.is_file()), None)


def _payload(ref: Reference) -> dict[str, Any] | None:
    """Return the payload of `runtime.models.base_model`: with any other, what a run stored is never found."""
    if isinstance(ref, HubRef):
        return {"hub": ref.repo, "revision": ref.revision}
    if ref.sha256 is None:
        return None
    return asdict(ref) if isinstance(ref, PackageRef) else {"sha256": ref.sha256}


def _hub(ref: HubRef, store: Store) -> ModelShape | None:
    for product in MADE:
        folder = _made(_payload(ref) or {}, store, product)
        found = shape_of_folder(folder) if folder else None
        if found:
            return found
    return None


def _path(path: Path, identity: dict[str, Any] | None, store: Store) -> ModelShape | None:
    if path.is_dir():
        return shape_of_folder(path)
    made = _made(identity, store) if identity else None
    return shape_of_folder(made) if made else shape_of_gguf(path)


def _package(ref: PackageRef, store: Store) -> ModelShape | None:
    pins = _payload(ref)
    if pins and (made := _made(pins, store)):
        return shape_of_folder(made)
    wanted = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}
    archive = store.get(product_key("package", wanted).digest)
    if archive is None:
        return None
    unpacked = {"archive": archive.files[0].sha256, "file": ref.file}
    folder = _product("package_file", unpacked, store)
    files = [path for path in folder.iterdir() if path.is_file()] if folder else []
    return shape_of_gguf(files[0]) if files else None


def _made(payload: dict[str, Any], store: Store, product: str = MADE[0]) -> Path | None:
    """Return the folder of a base model that was made of another form, or fetched."""
    found = _product(product, {**payload, "made": REVISION}, store)
    return found / FOLDER if found else None


def _product(name: str, payload: dict[str, Any], store: Store) -> Path | None:
    found = store.get(product_key(name, payload).digest)
    return found.path if found else None
