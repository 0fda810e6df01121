"""Publishing an OCI artifact to a registry, by the OCI distribution protocol (1.1), and reading every blob back.

A key is sent only to the registry itself; a token server that it names on another host gets the key only where the
user says so by `--allow-key`. Only a registry on this machine is reached without encryption.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urljoin

from engine.errors import EnvironmentProblem, RecipeError, needs_extra
from engine.files.reading import parse_json
from engine.publish.contents import Publication
from engine.publish.destination import Destination, Note, Published, require_sent
from engine.publish.oci import MANIFEST, TAG, Descriptor, artifact_of
from engine.trust.allowed import Allowed
from engine.trust.hosts import Address, parse_address
from engine.trust.redaction import keep_secret, redacted

if TYPE_CHECKING:
    import httpx

PATH: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
BLOCK: Final = 1 << 20
CONNECT_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 120.0
OK, CREATED, ACCEPTED, DENIED, FORBIDDEN, NOT_FOUND = 200, 201, 202, 401, 403, 404
ABSENT: Final = (DENIED, FORBIDDEN, NOT_FOUND)
"""What registries answer where nothing stands; some say so to nobody who may not read."""


@dataclass(slots=True, kw_only=True)
class Registry(Destination):
    """A tag of a repository in a registry."""

    name: str
    """HOST[:PORT]/REPOSITORY[:TAG]"""
    variable: str = ""
    """Environment variable with the key: USER:PASSWORD, or a token; empty for none."""
    given: Allowed
    address: Address = field(init=False)
    repository: str = field(init=False)
    tag: str = field(init=False)
    _token: str = ""
    """Of this repository, after the registry asked for one."""

    def __post_init__(self) -> None:
        """RecipeError R420 for what is no place in a registry."""
        host, _, rest = self.name.partition("/")
        repository, _, tag = rest.partition(":")
        if not PATH.fullmatch(repository) or not TAG.fullmatch(tag or "latest"):
            raise _no_place(self.name, "the repository is in small letters, and a tag follows `:`")
        try:
            address = parse_address(f"https://{host}")
        except ValueError as error:
            raise _no_place(self.name, str(error)) from error
        if address.is_loopback:
            address = parse_address(f"http://{host}")
        self.address, self.repository, self.tag = address, repository, tag or "latest"

    @property
    def root(self) -> str:
        return f"{self.address.scheme}://{self.address.bare}:{self.address.port}"

    def words(self) -> str:
        readers = "who may read it is the registry's setting"
        return f"the registry {self.address.name}, {self.repository}:{self.tag}; {readers}"

    def check(self, publication: Publication) -> None:
        """EnvironmentProblem X835 where the key's variable is empty."""
        del publication
        if self.variable and not os.environ.get(self.variable):
            hint = f"export {self.variable}=USER:PASSWORD"
            raise EnvironmentProblem.one(
                "X835", f"the variable {self.variable} is empty", hint=hint
            )

    def publish(self, publication: Publication, note: Note) -> Published:
        """Push blobs and manifest, and fetch each of them again.

        EnvironmentProblem X835 the registry refuses or is not reached, X836 a key would go elsewhere; StoreError X832.
        """
        found = artifact_of(publication)
        with needs_extra("publishing to a registry needs httpx", "packages"):
            import httpx
        limits = httpx.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
        # no proxy and no .netrc of the environment: what is sent where stands on the command line
        way: dict[str, Any] = {"trust_env": False, "headers": {"Accept-Encoding": "identity"}}
        hooks = {"request": [self._require_encryption]}
        with (
            _translated(self.address.name),
            httpx.Client(timeout=limits, event_hooks=hooks, **way) as client,
        ):
            there = self._ask(client, "HEAD", f"manifests/{self.tag}", headers={"Accept": MANIFEST})
            if there.status not in (OK, *ABSENT):
                # what stands there is not known, so nothing replaces it
                self._expect(there, NOT_FOUND)
            known = there.headers.get("Docker-Content-Digest")
            if there.status == OK and known != found.manifest.digest:
                hint = f"name another tag: --name {self.address.name}/{self.repository}:TAG"
                raise RecipeError.one(
                    "X830", f"the tag `{self.tag}` is there already, with another model", hint=hint
                )
            for blob in found.blobs:
                self._push(client, blob, note)
            self._expect(
                self._ask(
                    client,
                    "PUT",
                    f"manifests/{self.tag}",
                    headers={"Content-Type": MANIFEST},
                    sent=found.manifest,
                ),
                CREATED,
            )
            for blob in found.blobs:
                name = (blob.annotations or {}).get("org.cncf.model.filepath", "config")
                note(f"reading {name} back")
                self._compare(client, f"blobs/{blob.digest}", blob, name)
            self._compare(client, f"manifests/{self.tag}", found.manifest, "manifest")
        place = f"{self.address.name}/{self.repository}"
        return Published(
            place=f"{place}:{self.tag}",
            digest=found.manifest.digest,
            read_back=len(found.blobs) + 1,
            lines=(f"by its digest: {place}@{found.manifest.digest}",),
        )

    def _push(self, client: httpx.Client, blob: Descriptor, note: Note) -> None:
        if self._ask(client, "HEAD", f"blobs/{blob.digest}").status == OK:
            return
        note(f"uploading {blob.size:,} bytes")
        begun = self._expect(self._ask(client, "POST", "blobs/uploads/"), ACCEPTED)
        if not (named := begun.headers.get("Location")):
            why = f"{self.address.name} names no place for the upload"
            raise EnvironmentProblem.one("X835", why)
        where = urljoin(f"{self.root}/", named)
        where = f"{where}{'&' if '?' in where else '?'}digest={blob.digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        with self._opened(client, "PUT", where, headers=headers, sent=blob) as answer:
            self._expect(self._read(answer), CREATED)

    def _compare(self, client: httpx.Client, path: str, sent: Descriptor, name: str) -> None:
        headers = {"Accept": MANIFEST if path.startswith("manifests/") else "*/*"}
        with self._opened(client, "GET", self._url(path), headers=headers) as answer:
            if answer.status_code != OK:
                self._expect(self._read(answer), OK)
            digest = sent.digest.removeprefix("sha256:")
            blocks = answer.iter_raw(BLOCK)
            require_sent(blocks, self.name, name, sha256=digest, size=sent.size)

    def _url(self, path: str) -> str:
        return f"{self.root}/v2/{self.repository}/{path}"

    def _ask(self, client: httpx.Client, method: str, path: str, **given: Any) -> _Answer:
        with self._opened(client, method, self._url(path), **given) as answer:
            return self._read(answer)

    @contextlib.contextmanager
    def _opened(
        self,
        client: httpx.Client,
        method: str,
        where: str,
        *,
        headers: Mapping[str, str] | None = None,
        sent: Descriptor | None = None,
    ) -> Iterator[httpx.Response]:
        """Yield the answer; where the registry wants a token, get one and ask again."""
        for is_last in (False, True):
            with contextlib.ExitStack() as held:
                content: Any = sent and sent.content
                if sent is not None and sent.path is not None:
                    content = _blocks(held.enter_context(sent.path.open("rb")))
                request = client.build_request(method, where, headers=headers, content=content)
                # the registry may name a store of blobs elsewhere, which gets no key of ours
                if self._is_ours(request.url):
                    request.headers.update(self._authorization())
                # httpx takes the key off where a redirect leads to another host
                answer = client.send(request, stream=True, follow_redirects=method == "GET")
                held.callback(answer.close)
                if is_last or not self._has_new_token(client, answer):
                    yield answer
                    return

    def _has_new_token(self, client: httpx.Client, answer: httpx.Response) -> bool:
        """Get a token where the registry asks for one: the first, or another one when that has expired."""
        challenge = answer.headers.get("WWW-Authenticate", "")
        is_asked = answer.status_code == DENIED and challenge.lower().startswith("bearer ")
        if not is_asked or not self._is_ours(answer.request.url):
            return False
        self._token = self._asked_token(client, dict(CHALLENGE.findall(challenge)))
        return True

    def _read(self, answer: httpx.Response) -> _Answer:
        """Return an answer with its body. EnvironmentProblem X835 for one that is too long, or does not end."""
        from engine.runtime.served.http_client import UnreadableError, read_answer  # brings httpx

        method = answer.request.method
        try:
            # of what HEAD asks for, the size and the packing stand in the head, and nothing follows
            body = b"" if method == "HEAD" else read_answer(answer, seconds=SILENT_SECONDS)
        except UnreadableError as error:
            raise EnvironmentProblem.one("X835", f"{self.address.name}: {error}") from error
        return _Answer(method, answer.status_code, answer.headers, body)

    def _require_encryption(self, request: httpx.Request) -> None:
        """Let nothing go where an answer of the registry leads without encryption. EnvironmentProblem X836."""
        url = request.url
        if not self._is_ours(url) and url.scheme != "https":
            why = f"{self.address.name} leads to {url.host}, which is reached without encryption"
            raise EnvironmentProblem.one("X836", why, hint="name another registry")

    def _asked_token(self, client: httpx.Client, challenge: dict[str, str]) -> str:
        """Return a token for this repository. EnvironmentProblem X836 where the key is not for who gives tokens."""
        try:
            realm = parse_address(challenge.get("realm", "").partition("?")[0])
        except ValueError as error:
            why = f"{self.address.name} names no place for tokens: {error}"
            raise EnvironmentProblem.one("X835", why) from error
        key = self._key()
        is_own = (realm.scheme, realm.name) == (self.address.scheme, self.address.name)
        if key and not is_own and not self.given.may_send(self.variable, realm):
            raise EnvironmentProblem.one(
                "X836",
                f"{self.address.name} wants your key to be sent to {realm.name}",
                hint=f"--allow-key {self.variable}={realm.name} says that it may",
            )
        asked = {"scope": f"repository:{self.repository}:pull,push"}
        asked |= {"service": challenge["service"]} if "service" in challenge else {}
        headers = {"Authorization": self._basic(key)} if key else {}
        with client.stream("GET", challenge["realm"], params=asked, headers=headers) as answer:
            body = self._expect(self._read(answer), OK).body
        try:
            found = parse_json(body)
        except ValueError:
            found = None
        given = found if isinstance(found, dict) else {}
        token = str(given.get("token") or given.get("access_token") or "")
        keep_secret(token)
        return token

    def _authorization(self) -> dict[str, str]:
        key = self._key()
        if self._token:
            return {"Authorization": f"Bearer {self._token}"}
        return {"Authorization": self._basic(key)} if key else {}

    def _basic(self, key: str) -> str:
        if ":" not in key:
            return f"Bearer {key}"
        return f"Basic {base64.b64encode(key.encode()).decode()}"

    def _key(self) -> str:
        key = os.environ.get(self.variable, "") if self.variable else ""
        if key:
            keep_secret(key)
        return key

    def _is_ours(self, url: httpx.URL) -> bool:
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        ours = (self.address.scheme, self.address.host, self.address.port)
        return (url.scheme, url.host, port) == ours

    def _expect(self, answer: _Answer, status: int) -> _Answer:
        if answer.status == status:
            return answer
        text = redacted(answer.body.decode("utf-8", "replace"))
        words = " ".join(text.split())[:300]
        raise EnvironmentProblem.one(
            "X835",
            f"{self.address.name} answers {answer.status} to {answer.method}: {words or 'nothing'}",
            hint="--key-from VARIABLE names the key, USER:PASSWORD or a token, that may write there",
        )


class _Answer(NamedTuple):
    """What a registry answered."""

    method: str
    status: int
    headers: httpx.Headers
    body: bytes


def _blocks(stream: Any) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


@contextlib.contextmanager
def _translated(host: str) -> Iterator[None]:
    """Raise the failures of a connection as EnvironmentProblem X835."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = redacted(str(error)) or type(error).__name__
        raise EnvironmentProblem.one(
            "X835", f"{host} is not reached: {why}", hint="check the name and the network"
        ) from error


def _no_place(name: str, why: str) -> RecipeError:
    hint = "--name HOST[:PORT]/REPOSITORY[:TAG], or ./FOLDER for a layout"
    return RecipeError.one("R420", f"`{name}` is no place in a registry: {why}", hint=hint)
