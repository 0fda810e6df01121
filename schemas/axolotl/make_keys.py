"""Write the closed key list of the installed Axolotl.

`python schemas/axolotl/make_keys.py > schemas/axolotl/VERSION.keys.json`, in an environment that has
Axolotl; the result is committed, one file a version. Read from Axolotl's own pydantic models, since
its `config-schema` command prints no types.
"""

from __future__ import annotations

import enum
import importlib.metadata
import json
import sys
from typing import Annotated, Any, Literal, get_args, get_origin

from axolotl.integrations.cut_cross_entropy.args import (  # noqa: TID253 - the same
    CutCrossEntropyArgs,
)
from axolotl.integrations.liger.args import LigerArgs  # noqa: TID253 - this script is about Axolotl
from axolotl.utils.schemas.config import AxolotlInputConfig  # noqa: TID253 - this script is about Axolotl
from axolotl.utils.schemas.datasets import SFTDataset  # noqa: TID253 - the same
from pydantic import BaseModel


def main() -> None:
    """Print the key list."""
    listing = {
        "axolotl": importlib.metadata.version("axolotl"),
        "keys": keys_of(AxolotlInputConfig),
        "dataset_keys": keys_of(SFTDataset),
        # Of the plugins that compiled configs name; without its plugin Axolotl drops such a key.
        "plugin_keys": keys_of(LigerArgs) | keys_of(CutCrossEntropyArgs),
    }
    json.dump(listing, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


def keys_of(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return every field of a model: kinds of value, choices, whether deprecated."""
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
FORMS = {list: "list", tuple: "list", set: "list", dict: "dict"}


def kinds_of(annotation: Any) -> tuple[set[str], set[Any]]:
    """Return the JSON kinds an annotation admits (`any`: unknown) and its literals' values."""
    if annotation is str:
        return {"str"}, {ANY_TEXT}
    if annotation in SCALARS:
        return {SCALARS[annotation]}, set()
    if isinstance(annotation, type):
        return _kinds_of_class(annotation)
    return _kinds_of_form(get_origin(annotation), get_args(annotation))


def _kinds_of_class(kind: type) -> tuple[set[str], set[Any]]:
    if issubclass(kind, enum.Enum):
        return {"str"}, {member.value for member in kind}
    return ({"dict"} if issubclass(kind, BaseModel | dict) else {"any"}), set()


def _kinds_of_form(origin: Any, arguments: tuple[Any, ...]) -> tuple[set[str], set[Any]]:
    if origin is Literal:
        return {SCALARS.get(type(value), "str") for value in arguments}, set(arguments)
    if origin is Annotated:
        return kinds_of(arguments[0])
    if origin in FORMS:
        return {FORMS[origin]}, set()
    parts = [kinds_of(argument) for argument in arguments] or [({"any"}, set())]
    return (
        set().union(*(kinds for kinds, _ in parts)),
        set().union(*(choices for _, choices in parts)),
    )


if __name__ == "__main__":
    main()
