"""The place of results: content-addressed artifacts, written aside and renamed, complete where they exist."""

from engine.files.digests import sha256_of
from engine.store.manifest import (
    Artifact,
    DamagedError,
    FileEntry,
    StageKey,
    Stored,
    canonical_json,
    make_key,
    product_key,
)
from engine.store.store import Cached, Store, storage_problem
