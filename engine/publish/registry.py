"""Publishing an OCI artifact to a registry by the command `oras`, which has the user's login, and reading it back."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import Final

from engine.errors import EnvironmentProblem, RecipeError
from engine.files.leases import temporary_folder
from engine.process import start as processes
from engine.publish.contents import Publication
from engine.publish.destination import Destination, Note, Published, other_file
from engine.publish.oci import TAG, OciLayout
from engine.store import sha256_of
from engine.trust.hosts import Address, parse_address

COMMAND: Final = "oras"
PATH: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
ABSENT: Final = re.compile("(?<!message )not found")
"""In the last line of `oras` where nothing is there; some answers have `no recognizable error message`."""
SECONDS: Final = 6 * 3600.0
"""For one call, which may send or fetch a whole model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry(Destination):
    """A tag of a repository in a registry."""

    name: str
    """HOST[:PORT]/REPOSITORY[:TAG]"""

    def __post_init__(self) -> None:
        """RecipeError R420 for what is no place in a registry."""
        try:
            self._parts()
        except ValueError as error:
            hint = "--name HOST[:PORT]/REPOSITORY[:TAG], or ./FOLDER for a layout"
            message = f"`{self.name}` is no place in a registry: {error}"
            raise RecipeError.one("R420", message, hint=hint) from error

    def _parts(self) -> tuple[Address, str, str]:
        """Return host, repository and tag; ValueError."""
        host, _, rest = self.name.partition("/")
        repository, _, tag = rest.partition(":")
        if not PATH.fullmatch(repository) or not TAG.fullmatch(tag or "latest"):
            raise ValueError("the repository is in small letters, and a tag follows `:`")
        return parse_address(f"https://{host}"), repository, tag or "latest"

    def words(self) -> str:
        address, repository, tag = self._parts()
        readers = "who may read it is the registry's setting"
        return f"the registry {address.name}, {repository}:{tag}; {readers}"

    def check(self, publication: Publication) -> None:
        """EnvironmentProblem X835 where there is no `oras`."""
        del publication
        if shutil.which(COMMAND) is None:
            hint = "install it from oras.land, or publish a layout: --name ./FOLDER"
            raise EnvironmentProblem.one("X835", "there is no command `oras`", hint=hint)

    def publish(self, publication: Publication, note: Note) -> Published:
        """Push a layout, fetch it again and compare. RecipeError X830; EnvironmentProblem X835; StoreError X832."""
        address, repository, tag = self._parts()
        place = f"{self.name.partition('/')[0]}/{repository}"
        # `oras` itself takes a registry of this machine without encryption, and no other
        known = self._asked(
            "manifest", "fetch", "--descriptor", f"{place}:{tag}", may_be_absent=True
        )
        with temporary_folder() as work:
            made = OciLayout(folder=work / "sent").publish(publication, note)
            if known and made.digest not in known:
                hint = f"name another tag: --name {place}:TAG"
                raise RecipeError.one(
                    "X830", f"the tag `{tag}` is there already, with another model", hint=hint
                )
            note(f"pushing {publication.bytes:,} bytes")
            self._asked("copy", "--from-oci-layout", f"{made.place}", f"{place}:{tag}")
            note("reading it back")
            back = work / "back"
            self._asked("copy", "--to-oci-layout", f"{place}@{made.digest}", f"{back}:latest")
            for sent in sorted((work / "sent" / "blobs" / "sha256").iterdir()):
                copy = back / "blobs" / "sha256" / sent.name
                found = sha256_of(copy) if copy.is_file() else "nothing"
                if found != sent.name:
                    raise other_file(self.name, sent.name, sent=sent.name, found=found)
        return Published(
            place=f"{address.name}/{repository}:{tag}",
            digest=made.digest,
            read_back=made.read_back,
            lines=(f"by its digest: {place}@{made.digest}",),
        )

    def _asked(self, *words: str, may_be_absent: bool = False) -> str:
        """Return what `oras` writes; empty for what is not there. EnvironmentProblem X835."""
        variables = processes.environment(prefixes=("ORAS_", "DOCKER_"))
        try:
            answer = processes.ask(
                processes.program(COMMAND)(*words), variables=variables, seconds=SECONDS
            )
        except OSError as error:
            why = error.strerror or str(error)
        else:
            if answer.status == 0:
                return answer.text
            if may_be_absent and ABSENT.search(answer.last_error):
                return ""
            why = answer.last_error or "no answer"
        raise EnvironmentProblem.one(
            "X835",
            f"`oras {words[0]}` fails: {why[:300]}",
            hint=f"a registry wants a login first: oras login {self.name.partition('/')[0]}",
        )
