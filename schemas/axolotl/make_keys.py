"""Write the closed key list of the installed Axolotl: `python schemas/axolotl/make_keys.py > schemas/axolotl/<version>.keys.json`.

Read from Axolotl's own pydantic models, since its `config-schema` command prints no types. Run in an environment that
has Axolotl; the result is committed, one file a version.
"""

from __future__ import annotations

import enum
import importlib.metadata
import json
import sys
from typing import Any, get_args, get_origin

from axolotl.utils.schemas.config import AxolotlInputConfig  # noqa: TID253 - this script is about Axolotl
from axolotl.utils.schemas.datasets import SFTDataset  # noqa: TID253 - the same
from pydantic import BaseModel


def main() -> None:
    """Print the key list."""
    listing = {
        "axolotl": importlib.metadata.version("axolotl"),
        "keys": keys_of(AxolotlInputConfig),
        "dataset_keys": keys_of(SFTDataset),
    }
    json.dump(listing, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


def keys_of(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Every field of a model: the kinds of value it takes, its choices, and whether it is deprecated."""
    keys = {}
    for name, field in sorted(model.model_fields.items()):
        kinds, choices = kinds_of(field.annotation)
        entry: dict[str, Any] = {"kinds": sorted(kinds)}
        if choices and ANY_TEXT not in choices:
            entry["choices"] = sorted(choices, key=str)
        if field.deprecated:
            entry["deprecated"] = True
        keys[name] = entry
    return keys


ANY_TEXT = object()
"""Among the choices of a key that takes any text: then the others are no closed list."""
SCALARS = {bool: "bool", int: "int", float: "float", str: "str", type(None): "null"}


def kinds_of(annotation: Any) -> tuple[set[str], set[Any]]:  # noqa: ANN401 - any annotation
    """The JSON kinds an annotation admits (`any` where it cannot be told), and the values of its literals."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is str:
        return {"str"}, {ANY_TEXT}
    if annotation in SCALARS:
        return {SCALARS[annotation]}, set()
    if str(origin) == "typing.Literal":
        return {SCALARS.get(type(value), "str") for value in arguments}, set(arguments)
    if str(origin) == "typing.Annotated":
        return kinds_of(arguments[0])
    if origin in (list, tuple, set):
        return {"list"}, set()
    if origin is dict:
        return {"dict"}, set()
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return {"str"}, {member.value for member in annotation}
        return ({"dict"} if issubclass(annotation, BaseModel | dict) else {"any"}), set()
    if arguments:
        parts = [kinds_of(argument) for argument in arguments]
        return (
            set().union(*(kinds for kinds, _ in parts)),
            set().union(*(choices for _, choices in parts)),
        )
    return {"any"}, set()


if __name__ == "__main__":
    main()
