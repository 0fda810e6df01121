"""A shared store: its address, and the few calls on it: read, put where nothing stands, size, names."""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from engine.errors import EnvironmentProblem, RecipeError, first_line, needs_extra
from engine.values import Value

VARIABLE: Final = "SLM_RECIPE_STORE_REMOTE"
BUCKETS: Final = ("s3", "gs", "az")
_HINT: Final = "name a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://ACCOUNT/CONTAINER"


class SharedPlace(Value):
    url: str
    folder: Path | None = None
    """None for a bucket."""


def shared_place(named: str, *, path: str = "") -> SharedPlace:
    """Return the place that a text names; `path` is the key that it stands at, if any.

    RecipeError: R435 it is no address of a shared store; R436 it holds a secret, or an option.
    """
    text = folder = named.strip()
    why, absolute = "", Path()
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    try:
        parts = urlsplit(text if scheme else "")
        if parts.query or parts.fragment or "@" in parts.netloc:
            # not the text itself: it would show the secret in a terminal that is recorded
            raise RecipeError.one(
                "R436",
                f"the {scheme} address holds more than bucket and prefix (user, `?` or `#`)",
                path=path,
                hint="credentials and options come from the environment, such as AWS_ACCESS_KEY_ID",
            )
        if scheme in BUCKETS and parts.netloc:
            return SharedPlace(url=f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}")
        if scheme == "file" and not parts.netloc:
            folder = unquote(parts.path)
        elif scheme or not text:
            why = "it names neither a folder nor a bucket"
        # not resolved: a link is the user's own, since they named it
        absolute = Path(os.path.abspath(Path(folder).expanduser()))
    # what is no URL, or the home of a user that is none
    except (RuntimeError, ValueError) as error:
        why = str(error)
    if "\0" in folder:
        why = "it holds a zero byte"
    if why:
        raise RecipeError.one("R435", f"no shared store: {why}", path=path, hint=_HINT)
    return SharedPlace(url=absolute.as_uri(), folder=absolute)


PLAIN_HTTP: Final = "AWS_ALLOW_HTTP"
MARK: Final = "recipe-store.json"
MARK_TEXT: Final = b'{"schema": "recipe-store.v1"}\n'
RETRIES: Final = 4
TIMEOUT: Final = timedelta(seconds=60)
"""Limit of one request; a part has at most 2 MB."""
RETRY_TIMEOUT: Final = timedelta(seconds=20)
CONNECT_TIMEOUT: Final = timedelta(seconds=5)


class UnreachableError(Exception):
    """The shared store did not answer, or refused: its message is one line."""


class RefusedError(ValueError):
    """An object of a shared store does not match its key; the message is in words."""


class OversizeError(RefusedError):
    """An object is larger than what was expected there."""


class ObjectStore:
    """ObjectStore by name. UnreachableError from each call that the server does not answer, or refuses."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self, name: str, *, limit: int) -> bytes | None:
        """The bytes of an object; None where it is absent. OversizeError beyond `limit`."""
        found = bytearray()
        with _answers():
            try:
                for chunk in self._client.get(name).stream():
                    found += bytes(chunk)
                    # counted, since a server may say another size than it sends
                    if len(found) > limit:
                        raise OversizeError(f"`{name}` has more than {limit} bytes")
            except FileNotFoundError:
                return None
        return bytes(found)

    def create(self, name: str, content: bytes) -> bool:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with _answers():
            try:
                self._client.put(name, content, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def size(self, name: str) -> int | None:
        with _answers():
            try:
                return int(self._client.head(name)["size"])
            except FileNotFoundError:
                return None

    def names(self, prefix: str, *, limit: int) -> list[str]:
        found: list[str] = []
        with _answers():
            for page in self._client.list(prefix):
                found += [str(one["path"]) for one in page]
                if len(found) >= limit:
                    break
        return found[:limit]


def connect(place: SharedPlace, *, writes: bool = True) -> ObjectStore:
    """Return the objects of a shared store; one that is written to, once it has shown that it writes nothing over.

    UnreachableError: it does not answer, or refuses. EnvironmentProblem: E701 obstore is not installed; X861 it
    writes over what is there.
    """
    with needs_extra("a shared store needs the package obstore", "store"):
        from obstore.store import LocalStore, from_url
    with _answers():
        if place.folder is not None:
            client: Any = LocalStore(place.folder, mkdir=True)
        else:
            client = from_url(
                place.url,
                client_options={
                    "timeout": TIMEOUT,
                    "connect_timeout": CONNECT_TIMEOUT,
                    # options that are given take the place of all that the environment names
                    "allow_http": os.environ.get(PLAIN_HTTP, "").lower() in ("true", "1"),
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT},
            )
    objects = ObjectStore(client)
    if writes:
        require_conditions(objects)
    return objects


def require_conditions(objects: ObjectStore) -> None:
    """X861 where the server puts an object over one that is there, though it was asked not to."""
    # where the mark was there before, its refusal is the proof; else the second put must be refused
    if objects.create(MARK, MARK_TEXT) and objects.create(MARK, MARK_TEXT):
        raise EnvironmentProblem.one(
            "X861",
            "the shared store ignores conditions (If-None-Match): of two writers the last would win unseen",
            hint="use a server that keeps them, such as Amazon S3, SeaweedFS or Google Cloud Storage",
        )


@contextlib.contextmanager
def _answers() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except OversizeError:
        raise
    except (BaseError, OSError, ValueError) as error:
        raise UnreachableError(first_line(error)) from error
