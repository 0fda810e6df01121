"""Downloads from the hub: one file or the rows of a split of a data set, and the files of a model."""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from engine.errors import DataError, EngineError, EnvironmentProblem, first_line, needs_extra
from engine.files.reading import open_regular
from engine.process.library_settings import CACHES, caches, take_out
from engine.progress import Progress, mention
from engine.recipe.model import HubRef, Source
from engine.sources.fetch_process import apart
from engine.store import Cached

CONNECT_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 15.0
"""Without a byte from the hub, whose library waits without end by itself."""
VARIABLES: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "USE_HUB_KERNELS": "NO"}
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""Variables that libraries read when they are imported; a value that the user has set stays."""
HUB_CACHES = frozenset(
    {
        *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ASSETS_CACHE", "HF_XET_CACHE"),
        *("HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_KERNELS_CACHE", "TRANSFORMERS_CACHE"),
        *("HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH", "XDG_CACHE_HOME"),
    }
)
"""The user's, where the hub's library keeps what it fetched; a relative one would be a folder of the project."""
_TRUE: Final = frozenset({"1", "ON", "YES", "TRUE"})


class _Wish:
    allows: bool | None = None


def go_offline() -> None:
    """Take libraries offline for the rest of the process, except within `fetching`; called before they are imported."""
    # Only at the first call: afterwards the variable holds our value, not the user's.
    if _Wish.allows is None:
        asked = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
        _Wish.allows = asked.upper() not in _TRUE
    os.environ.update(VARIABLES)


def quieten() -> None:
    """Set what libraries read at import, so that they are silent, offline, and cache in the user's own folders.

    What would have them compute otherwise is taken out.
    """
    take_out()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for name in {*HUB_CACHES, *CACHES}:
        if name in os.environ and not Path(os.environ[name]).is_absolute():
            del os.environ[name]
    for name, value in caches().items():
        if name not in HUB_CACHES:
            os.environ.setdefault(name, value)
    go_offline()


@contextlib.contextmanager
def fetching() -> Iterator[None]:
    """Let huggingface_hub speak to the hub, unless the user has HF_HUB_OFFLINE set."""
    import huggingface_hub as hub  # an extra, and slow to import
    from huggingface_hub import constants  # an extra, and slow to import
    from huggingface_hub.utils import _http  # the default client, whose hooks are kept

    # A factory that a program around the engine has set stays.
    if _http._GLOBAL_CLIENT_FACTORY is _http.default_client_factory:  # noqa: SLF001 - no public way to ask
        hub.set_client_factory(lambda: with_hook(_http.default_client_factory(), _limit))
    with _online(constants) if _Wish.allows else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _online(library: Any) -> Iterator[None]:
    """Switch a library on: it reads the variable when it is imported, changing the environment comes too late."""
    before, library.HF_HUB_OFFLINE = library.HF_HUB_OFFLINE, False
    try:
        yield
    finally:
        library.HF_HUB_OFFLINE = before


def _limit(request: Any) -> None:
    """Set the limits that a request leaves open: the library asks for no limit where it forgets one."""
    given = request.extensions.get("timeout") or {}
    limits = dict.fromkeys(("connect", "pool"), CONNECT_SECONDS)
    limits |= dict.fromkeys(("read", "write"), SILENT_SECONDS)
    limits |= {name: value for name, value in given.items() if value is not None}
    request.extensions = {**request.extensions, "timeout": limits}


def with_hook(client: Any, hook: Callable[[Any], None]) -> Any:
    """Return a client of the hub's library that calls `hook` with each request, behind its own."""
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "request": [*hooks.get("request", ()), hook]}
    return client


_METADATA: Final = Path(".cache") / "huggingface" / "download"
"""Below a folder that was downloaded into: one file for each, of the commit, the digest and the time."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_BLOCK: Final = 1 << 20


def require_digests(folder: Path, repo: str) -> None:
    """Hash every file of a folder that a repository was downloaded into. EnvironmentProblem X810 for another one.

    A file without a digest, such as one that came from a cache of an older library, is passed over.
    """
    place = folder / _METADATA
    for metadata in sorted(place.rglob("*.metadata")):
        name = metadata.relative_to(place).with_suffix("")
        lines = metadata.read_text(encoding="utf-8", errors="replace").splitlines()
        digest = lines[1].strip() if len(lines) > 1 else ""
        if (folder / name).is_file() and _DIGEST.fullmatch(digest):
            _require(folder / name, digest, f"{name.as_posix()} of `{repo}`")


def require_cached(path: Path, repo: str) -> None:
    """Hash a file of the hub's cache, where it is a link to a file that its digest names. EnvironmentProblem X810."""
    blob = Path(os.path.realpath(path))
    if blob.parent.name == "blobs" and _DIGEST.fullmatch(blob.name):
        _require(blob, blob.name, f"{path.name} of `{repo}`")


def digest_of(path: Path, digest: str) -> str:
    with open_regular(path) as stream:
        if len(digest) == hashlib.sha256().digest_size * 2:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        # git's own way to name content, and no protection of ours
        found = hashlib.sha1(
            b"blob %d\0" % os.fstat(stream.fileno()).st_size, usedforsecurity=False
        )
        while block := stream.read(_BLOCK):
            found.update(block)
        return found.hexdigest()


def _require(path: Path, digest: str, shown: str) -> None:
    try:
        found = digest_of(path, digest)
    except OSError as error:
        found = error.strerror or str(error)
    if found != digest:
        raise EnvironmentProblem.one(
            "X810",
            f"{shown} is not the file that the hub names: {found[:12]} in the place of {digest[:12]}",
            hint="delete it from the hub's cache (hf cache rm) and run the same command again",
        )


ROWS = "rows.parquet"


def fetch_hub_data(ref: HubRef, source: Source, *, cached: Cached, progress: Progress) -> Path:
    """Return the file `source.hub_file` of the repository, or its rows as one Parquet file.

    DataError when the hub cannot be reached or has no such data set, revision, file, configuration
    or split; EnvironmentProblem without the `train` extra.
    """
    if source.hub_file:
        return fetch_file(ref, source.hub_file, progress)
    commit = {"repo": ref.repo, "revision": ref.revision}
    payload = {**commit, "config": source.config, "split": source.split}
    rows = cached(
        "hub_rows",
        payload,
        lambda folder: write_rows(ref, source.config, source.split, folder, progress),
    )
    return rows.file(ROWS)


def newest_commit(repo: str, kind: str) -> str:
    """Return the commit that the main branch of a repository is at now; `kind`: model or dataset.

    DataError when the hub cannot be reached or has no such repository; EnvironmentProblem without
    the `train` extra.
    """
    with _translated_errors(HubRef(repo=repo)):
        from huggingface_hub import HfApi  # an extra, and slow to import

        with fetching():
            return str(HfApi().repo_info(repo, repo_type=kind).sha)


def fetch_file(ref: HubRef, file: str, progress: Progress) -> Path:
    """Return a file of a data set in the hub's cache. DataError D347, D348, EnvironmentProblem E701, X810."""
    if (helper := apart()) is not None:
        given = {"repo": ref.repo, "revision": ref.revision, "file": file}
        return Path(helper.ask("hub_file", given, progress))
    with _translated_errors(ref):
        from huggingface_hub import hf_hub_download  # an extra, and slow to import

        mention(progress, f"fetching {file} of {ref.repo}")
        with fetching():
            path = Path(hf_hub_download(ref.repo, file, repo_type="dataset", revision=ref.revision))
        require_cached(path, ref.repo)
        return path


def write_rows(ref: HubRef, config: str, split: str, folder: Path, progress: Progress) -> None:
    """Write the rows of a split into `folder` as one Parquet file. DataError D347, D348, EnvironmentProblem E701."""
    if (helper := apart()) is not None:
        place = {"config": config, "split": split, "folder": str(folder.resolve())}
        helper.ask("hub_rows", {"repo": ref.repo, "revision": ref.revision, **place}, progress)
        return
    mention(progress, f"fetching {split or 'the only split'} of {ref.repo}")
    rows = load_rows(ref, config, split)
    for column, feature in rows.features.items():
        if hasattr(feature, "names"):
            names = ", ".join(f"{number} = {name}" for number, name in enumerate(feature.names))
            progress.note(f"{column} holds numbers: {names}")
    rows.to_parquet(folder / ROWS)


def load_rows(ref: HubRef, config: str, split: str) -> Any:
    """Return the split as a `datasets.Dataset`; the library refuses data sets that are scripts."""
    if not Path(ref.repo).is_absolute() and os.path.lexists(ref.repo):
        # The library would read it in the place of the hub's.
        raise DataError.one(
            "D347",
            f"`{ref.repo}` is also a file or folder here, which would be read in its place",
            hint="start from another folder, or name the folder's files as `path`",
        )
    with _translated_errors(ref):
        from datasets import config as library
        from datasets import load_dataset

        allows = _Wish.allows and "HF_DATASETS_OFFLINE" not in os.environ
        # The library has a copy of the hub library's flag, made when it was imported.
        with fetching(), _online(library) if allows else contextlib.nullcontext():
            loaded: Any = load_dataset(
                ref.repo,
                config or None,
                split=split or None,
                revision=ref.revision,
                trust_remote_code=False,
            )
    if not isinstance(loaded, dict):
        return loaded
    if len(loaded) == 1:
        return next(iter(loaded.values()))
    raise DataError.one(
        "D347",
        f"`{ref.repo}` has {len(loaded)} splits: {', '.join(f'`{name}`' for name in loaded)}",
        hint=f"name one: `split: {next(iter(loaded))}`",
    )


def fetch_snapshot(
    ref: HubRef, target: Path | None, progress: Progress, files: Sequence[str]
) -> Path:
    """Return the folder of a model's files: `target`, or one of the hub's cache. EnvironmentProblem X608."""
    if (helper := apart()) is not None:
        place = {"files": list(files), "target": target and str(target.resolve())}
        found = helper.ask(
            "snapshot", {"repo": ref.repo, "revision": ref.revision, **place}, progress
        )
        return Path(found)
    from huggingface_hub import snapshot_download  # only where the hub is used
    from huggingface_hub.errors import HfHubHTTPError

    mention(progress, f"fetching {ref.repo} from the hub")
    try:
        with fetching():
            return Path(
                snapshot_download(
                    ref.repo, revision=ref.revision, local_dir=target, allow_patterns=list(files)
                )
            )
    except Exception as error:
        known = isinstance(error, HfHubHTTPError | OSError | ValueError | RuntimeError)
        if not known and not is_of_the_connection(error):
            raise
        raise EnvironmentProblem.one(
            "X608",
            f"the base model `{ref.repo}` cannot be fetched: {first_line(error)}",
            path="base_model",
            hint="check the name and revision, the network, and `hf auth login` for gated models",
        ) from error


@contextmanager
def _translated_errors(ref: HubRef) -> Iterator[None]:
    at = f"`{ref.repo}`" + (f" at {ref.revision[:12]}" if ref.revision else "")
    try:
        with needs_extra("data of the hub needs datasets", "train"):
            yield
    except EngineError:
        raise
    except Exception as error:
        translated = _translate(error, at)
        if translated is None:
            raise
        raise translated from error


def _translate(error: Exception, at: str) -> DataError | None:
    import huggingface_hub.errors as hub  # an extra, and slow to import
    from huggingface_hub import constants

    # Before `absent`: it is a RepositoryNotFoundError too, though the repository is there.
    if isinstance(error, hub.GatedRepoError):
        hint = "ask for access on its page, then set HF_TOKEN"
        return DataError.one("D348", f"{at} is gated: its owner must let you in", hint=hint)
    # Before `absent`: it is an EntryNotFoundError too, and means that the hub was not reached.
    if isinstance(error, hub.LocalEntryNotFoundError):
        return _offline(at, error)
    absent = (hub.RepositoryNotFoundError, hub.RevisionNotFoundError, hub.EntryNotFoundError)
    is_offline = bool(constants.HF_HUB_OFFLINE) or "offline" in str(error).lower()
    missing = isinstance(error, absent) or (isinstance(error, FileNotFoundError) and not is_offline)
    if (isinstance(error, OSError) or is_of_the_connection(error)) and not missing:
        return _offline(at, error)
    # RuntimeError: the data set is a script. The library has errors of its own besides.
    known = isinstance(error, ValueError | RuntimeError | OSError)
    if known or type(error).__module__.startswith("datasets."):
        # The library's "an error occurred while generating the dataset" has the reason behind it.
        cause: BaseException | None = error
        while type(cause).__name__.startswith("DatasetGeneration") and cause and cause.__cause__:
            cause = cause.__cause__
        return DataError.one("D347", f"{at}: {first_line(cause or error)}")
    return None


def is_of_the_connection(error: Exception) -> bool:
    """The hub's library lets errors of its HTTP client through, which are no OSError."""
    return type(error).__module__.split(".")[0] in {"httpx", "httpcore"}


def _offline(at: str, error: Exception) -> DataError:
    return DataError.one(
        "D348",
        f"{at} cannot be fetched: {first_line(error)}",
        hint="check the network, HF_ENDPOINT and HF_HUB_OFFLINE",
    )
