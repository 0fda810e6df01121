"""Frozen values, written as JSON and read back by their annotations: the codec of all records.

A field without a default must be in the file; one with a default may be missing, as in files of older versions; any
other field is an error. A number that may be written as `1` or as `1.0` is a `Number`, which keeps how it is written.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Annotated, Any, Final, dataclass_transform, overload

from msgspec import Meta, Struct, StructMeta, ValidationError, convert, to_builtins
from msgspec import field as field
from msgspec.structs import FieldInfo as FieldInfo
from msgspec.structs import fields as fields
from msgspec.structs import force_setattr as force_setattr
from msgspec.structs import replace as replace

MINUS: Final = "\N{MINUS SIGN}"
"""As wide as a plus; unlike at a hyphen, no line is broken at it."""
_GROUPED: Final = 10_000


def decimal(value: float, decimals: int = 3, *, signed: bool = False) -> str:
    """Return `0.981`, or of a `signed` difference `+0.021`; a number that is rounded to zero has no sign."""
    grouped = "," if abs(value) >= _GROUPED else ""
    text = f"{abs(value):{grouped}.{decimals}f}"
    is_zero = not any(digit in text for digit in "123456789")
    sign = "" if is_zero else MINUS if value < 0 else "+" if signed else ""
    return sign + text


def shortest(value: float, figures: int = 6) -> str:
    """Return `0.81` for 0.810: no more figures than necessary, and at most so many."""
    return f"{MINUS if value < 0 else ''}{abs(value):.{figures}g}"


def bounds(low: float, high: float, decimals: int = 3) -> str:
    """Return the interval of a difference: `[+0.004, +0.020]`."""
    return f"[{decimal(low, decimals, signed=True)}, {decimal(high, decimals, signed=True)}]"


Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float
Count = Annotated[int, Meta(ge=0)]
Scalar = str | Number | None
SHOWN: Final = 60
"""Characters of a wrong value that a message shows."""
FORMERLY: Final[Mapping[str, str]] = {"shared_start": "shared_prefix"}
"""Names of fields in files of older versions, and their names today."""


class JsonTypeError(ValueError):
    """JSON data that does not fit its class; the message has the place: "`splits.train.rows` is -1"."""


class _ValueMeta(StructMeta):
    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        body: dict[str, Any],
        *,
        kw_only: bool = True,
        **config: Any,
    ) -> Any:
        """Make a class of values; `kw_only` is not inherited in msgspec."""
        return super().__new__(cls, name, bases, body, kw_only=kw_only, **config)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Value(Struct, metaclass=_ValueMeta, frozen=True, forbid_unknown_fields=True):
    """A frozen value, whose fields are given by name."""


@overload
def to_json(value: Value) -> dict[str, Any]: ...
@overload
def to_json(value: Any) -> Any: ...
def to_json(value: Any) -> Any:
    return to_builtins(value, enc_hook=_as_builtin)


def _as_builtin(value: Any) -> Any:
    """Return a number of a library, such as numpy, as Python's own."""
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    raise NotImplementedError  # msgspec names the type


def from_json[T](kind: type[T], data: Any, path: str = "") -> T:
    """Return the value, or the tuple, list or mapping of values, of which `to_json` made `data`.

    JsonTypeError for the first field that is missing, unknown, or of another type; `path` is the place of the data.
    """
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # NaN, or half of a surrogate pair
        wrong, at = next(_unwritable(data, path))
        raise _wrong(wrong, at) from None
    try:
        return convert(data, kind)
    except ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
    node, start = (whole := deepcopy(data)), path
    # A field may have the name " - at `$".
    with suppress(LookupError, TypeError):
        for key, index in re.findall(r"\.(\w+)|\[(\d+|\.{3})\]", where):
            step = key or (int(index) if index.isdigit() else _failing_key(kind, whole, node))
            path, node = _at(path, step), node[step]
    if not what.startswith("Object"):
        raise _wrong(node, path)
    name = what.split("`")[1]
    if name in FORMERLY and "unknown" in what:
        node[FORMERLY[name]] = node.pop(name)
        return from_json(kind, whole, start)
    raise JsonTypeError(f"`{_at(path, name)}` is {'missing' if 'missing' in what else 'unknown'}")


def _unwritable(data: Any, path: str) -> Iterator[tuple[Any, str]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in inner:
        if isinstance(value, dict | list | tuple):
            yield from _unwritable(value, _at(path, key))
            continue
        try:
            json.dumps([key, value], ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            yield value, _at(path, key)


def _failing_key(kind: Any, whole: Any, node: dict[str, Any]) -> str:
    """Return the key of a mapping whose value does not fit; all other keys are deleted from `node`."""
    for key, value in list(node.items()):
        node.clear()
        node[key] = value
        try:
            convert(whole, kind)
        except ValidationError:
            break
    return next(iter(node))


def _at(path: str, name: str | int) -> str:
    shown = brief_text(str(name))
    return f"{path}.{shown}" if path else shown


def _wrong(data: Any, path: str) -> JsonTypeError:
    return JsonTypeError(f"`{path}` is {brief(data)}" if path else f"it is {brief(data)}")


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, and add missing sections."""
    *sections, key = path.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[key] = value


def brief(value: Any) -> str:
    """Return a value for a message: in ASCII, on one line, and short."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > SHOWN:
        return "a number too large"
    return brief_text(json.dumps(value))


def brief_text(text: str) -> str:
    """Return a text for a message, without control characters of terminals, and short."""
    plain = json.dumps(text)[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}…"
