"""Publishing to the hub as one commit, by huggingface_hub, and reading every file of it back.

The token goes to the hub's own address and nowhere else, whatever an answer of it names for uploads. The hub
checks the card's metadata before the commit; what it refuses is shown.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.bundle.contents import REPORT
from engine.errors import (
    EngineError,
    EnvironmentProblem,
    Problem,
    RecipeError,
    first_line,
    needs_extra,
)
from engine.publish.model_card import FILE as SIGNATURE
from engine.publish.publication import SUMS, Note, Publication, Published, require_sent
from engine.render.styled_text import printable
from engine.sources.hub import fetching, is_of_the_connection, with_hook
from engine.trust.hosts import Address, keep_secret, parse_address, redacted

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REPO: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
BLOCK: Final = 1 << 20
LOGIN: Final = "hf auth login, or set HF_TOKEN to a token that may write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A repository of models on the hub."""

    repo: str
    """OWNER/NAME."""
    is_public: bool

    def __post_init__(self) -> None:
        """RecipeError R420 for what is no name of a repository."""
        if not REPO.fullmatch(self.repo):
            raise RecipeError.one(
                "R420",
                f"`{self.repo}` is no repository of the hub",
                hint="--name OWNER/NAME, of letters, digits, `-`, `_` and `.`",
            )

    def words(self) -> str:
        readers = "public: everybody can read it" if self.is_public else "private"
        return f"{_endpoint()}/{self.repo}, {readers}"

    def check(self) -> None:
        """EnvironmentProblem X836 where the token would travel without encryption."""
        _address(_endpoint())

    def publish(self, publication: Publication, note: Note) -> Published:
        """Commit the files onto the repository, which is made where it is absent, and read them back.

        EnvironmentProblem X831 the hub refuses or is not reached; X837 a repository that is there has another
        visibility; StoreError X832.
        """
        endpoint = _endpoint()
        address = _address(endpoint)
        with _translated(), fetching(), _token_stays_at(address):
            import huggingface_hub as hub

            token = hub.get_token()
            if not token:
                raise EnvironmentProblem.one("X831", "there is no token for the hub", hint=LOGIN)
            keep_secret(token)
            api = hub.HfApi(endpoint=endpoint, token=token, library_name="slm-recipe")
            there = self._prepared(api, note)
            parent = there.sha if there else None
            earlier = self._of_earlier_run(api, there, publication)
            note(f"uploading {len(publication.files)} files")
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                commit = api.create_commit(
                    self.repo,
                    [
                        *(
                            hub.CommitOperationAdd(
                                path_in_repo=one.name, path_or_fileobj=str(one.path)
                            )
                            for one in publication.files
                        ),
                        *(hub.CommitOperationDelete(path_in_repo=name) for name in earlier),
                    ],
                    commit_message=f"Publish {publication.report.recipe_name} ({publication.run.name})",
                    parent_commit=parent,
                )
            for file in publication.files:
                note(f"reading {file.name} back")
                with self._stream(api, file.name, str(commit.oid)) as answer:
                    blocks = answer.iter_bytes(BLOCK)
                    require_sent(blocks, self.repo, file.name, sha256=file.sha256, size=file.bytes)
            self._require_visibility(api.repo_info(self.repo))
        lines = [
            f"the hub warns: {first_line(ValueError(redacted(str(one.message))))}" for one in heard
        ]
        if earlier:
            names = ", ".join(map(printable, earlier))
            lines.append(f"no longer there, only in the commit before: {names}, of an earlier run")
        return Published(
            place=f"{endpoint}/{self.repo}",
            digest=str(commit.oid),
            read_back=len(publication.files),
            lines=tuple(lines),
        )

    def _prepared(self, api: HfApi, note: Note) -> Any:
        """Return what is known of the repository; None where it was made just now."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            found = api.repo_info(self.repo)
        except RepositoryNotFoundError:
            note(f"making {self.repo}")
            api.create_repo(self.repo, private=not self.is_public)
            return None
        self._require_visibility(found)
        return found

    def _of_earlier_run(self, api: HfApi, there: Any, publication: Publication) -> list[str]:
        """Return the files that the sums of an earlier run name, and this publication does not bring.

        Beside the new ones they would be read as parts of this model. What an earlier call published of the same run
        stays, and so does what no sums name.
        """
        names = {one.rfilename for one in (there.siblings or ())} if there else set()
        if not {SUMS, REPORT} <= names:
            return []
        content = b""
        with self._stream(api, SUMS, str(there.sha)) as answer:
            for block in answer.iter_bytes(BLOCK):
                content += block
                if len(content) > BLOCK:  # ours is shorter
                    content = b""
                    break
        text = content.decode("utf-8", "replace")
        # Lines of another form name nothing.
        sums = {line[66:]: line[:64] for line in text.splitlines() if line[64:66] == "  "}
        brought = {one.name: one.sha256 for one in publication.files}
        if sums.get(REPORT) == brought.get(REPORT):
            return []
        return sorted((names & {*sums, SIGNATURE}) - brought.keys())

    def _require_visibility(self, found: Any) -> None:
        is_private = bool(found.private)
        if is_private is not self.is_public:
            return
        there = "private" if is_private else "public"
        hint = "leave --public out" if is_private else "--public says that everybody may read it"
        raise EnvironmentProblem.one(
            "X837", f"`{self.repo}` is there already, and it is {there}", hint=hint
        )

    @contextlib.contextmanager
    def _stream(self, api: HfApi, name: str, commit: str) -> Iterator[Any]:
        """A file of a commit, as everybody gets it."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import get_session, hf_raise_for_status

        url = hf_hub_url(self.repo, name, revision=commit, endpoint=api.endpoint)
        headers = build_hf_headers(token=api.token)
        with get_session().stream("GET", url, headers=headers, follow_redirects=True) as answer:
            hf_raise_for_status(answer)
            yield answer


def _endpoint() -> str:
    with needs_extra("publishing to the hub needs huggingface_hub", "train"):
        from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _address(endpoint: str) -> Address:
    """Return where the hub is. EnvironmentProblem X836 where a token may not go there."""
    try:
        found = parse_address(endpoint)
    except ValueError as error:
        why = f"HF_ENDPOINT `{endpoint}`: {error}"
    else:
        if found.scheme == "https" or found.is_loopback:
            return found
        why = f"your token would go to {found.name} without encryption"
    raise EnvironmentProblem.one("X836", why, hint="set HF_ENDPOINT to an https address")


@contextlib.contextmanager
def _token_stays_at(address: Address) -> Iterator[None]:
    """Take the token off each request to another address, such as one that the hub names for uploads."""
    import huggingface_hub as hub
    from huggingface_hub.utils import _http  # the client that is set, which nothing public returns

    before = _http._GLOBAL_CLIENT_FACTORY  # noqa: SLF001 - put back afterwards

    def keep(request: Any) -> None:
        url = request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if (url.scheme, url.host.lower(), port) != (address.scheme, address.host, address.port):
            request.headers.pop("authorization", None)

    hub.set_client_factory(lambda: with_hook(before(), keep))
    try:
        yield
    finally:
        hub.set_client_factory(before)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise the errors of the hub's library as EnvironmentProblem X831, without the token."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        known = isinstance(error, HfHubHTTPError | OfflineModeIsEnabled | OSError | ValueError)
        if not known and not is_of_the_connection(error):
            raise
        text = " ".join(redacted(str(error)).split())
        problem = Problem(
            code="X831",
            message=f"the hub does not take it: {text[:300] or type(error).__name__}",
            hint=f"{LOGIN}; what was committed stays there",
        )
        raise EnvironmentProblem(problem) from error
