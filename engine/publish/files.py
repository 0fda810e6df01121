"""Files of a publication, and their signature by OpenSSF Model Signing (OMS), `model.sig`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.errors import EnvironmentProblem, RecipeError, first_line
from engine.store import sha256_of
from engine.store.store import link_file
from engine.values import Value

FILE: Final = "model.sig"
MAKE: Final = "openssl ecparam -name prime256v1 -genkey -noout -out model-key.pem"


def sign_files(files: Sequence[PublishedFile], key: Path, target: Path) -> None:
    """Write the signature of the files, by the names that they are published under.

    Raises:
        EnvironmentProblem: X838 the library is not installed.
        RecipeError: X838 the key cannot be used.

    """
    try:
        from model_signing import hashing, signing  # not every publisher signs models
    except ImportError as error:
        raise EnvironmentProblem.one(
            "X838", "signing a model needs model-signing", hint="pip install model-signing"
        ) from error
    with tempfile.TemporaryDirectory(prefix="recipe-") as place:
        folder = Path(place) / "model"
        for file in files:
            (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
            link_file(file.path, folder / file.name)
        try:
            config = signing.Config().use_elliptic_key_signer(private_key=key)
            config.set_hashing_config(hashing.Config()).sign(folder, target)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise RecipeError.one(
                "X838", f"`{key.name}` cannot sign a model: {first_line(error)}", hint=MAKE
            ) from error


class PublishedFile(Value):
    """One file, by the name that it gets in the place."""

    name: str
    path: Path
    """Where it stands here."""
    bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, path: Path) -> PublishedFile:
        """Describe a file as it is now."""
        return cls(name=name, path=path, bytes=path.stat().st_size, sha256=sha256_of(path))
