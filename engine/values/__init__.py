"""Values that are given, compared, written as JSON and read back by their annotations. The one codec of all records.

A field without a default must be in the file, one with a default may be missing (files of older versions lack it), any
other is an error. A number that may be written as `1` or as `1.0` is a `Number`, so that it is written again as it was.
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
"""As wide as a plus and never a hyphen, which a line may be broken at; programs read `--format json`."""
_GROUPED: Final = 10_000


def decimal(value: float, decimals: int = 3, *, signed: bool = False) -> str:
    """`0.981`; `signed` differences `+0.021`. What is rounded to zero has no sign: there is no negative `0.000`."""
    grouped = "," if abs(value) >= _GROUPED else ""
    text = f"{abs(value):{grouped}.{decimals}f}"
    is_zero = not any(digit in text for digit in "123456789")
    sign = "" if is_zero else MINUS if value < 0 else "+" if signed else ""
    return sign + text


def shortest(value: float, figures: int = 6) -> str:
    """`0.81` for 0.810: as many figures as it takes, and at most so many."""
    return f"{MINUS if value < 0 else ''}{abs(value):.{figures}g}"


def bounds(low: float, high: float, decimals: int = 3) -> str:
    """`[+0.004, +0.020]`: the ends of an interval of a difference."""
    return f"[{decimal(low, decimals, signed=True)}, {decimal(high, decimals, signed=True)}]"


Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float
Count = Annotated[int, Meta(ge=0)]
Scalar = str | Number | None
SHOWN: Final = 60
"""Characters of a wrong value that a message shows."""
FORMERLY: Final[Mapping[str, str]] = {"shared_start": "shared_prefix"}
"""Fields by the names that files of older versions have for them."""


class JsonTypeError(ValueError):
    """JSON data that does not fit its class; the message names the place: "`splits.train.rows` is -1"."""


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
    """Numbers of libraries are subclasses of Python's: numpy's floats, for one."""
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    raise NotImplementedError  # msgspec names the type


def from_json[T](kind: type[T], data: Any, path: str = "") -> T:
    """Return the value, or the tuple, list or mapping of them, that `to_json` made into `data`.

    `path` is where the data is, for messages.

    Raises:
        JsonTypeError: a field is missing, unknown, or of another type; the first one is named.

    """
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # NaN, or half of a surrogate pair: no file can hold them
        wrong, at = next(_unwritable(data, path))
        raise _wrong(wrong, at) from None
    try:
        return convert(data, kind)
    except ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
    node, given = (whole := deepcopy(data)), path
    # A field that is called " - at `$" leads nowhere.
    with suppress(LookupError, TypeError):
        for key, index in re.findall(r"\.(\w+)|\[(\d+|\.{3})\]", where):
            step = key or (int(index) if index.isdigit() else _failing_key(kind, whole, node))
            path, node = _at(path, step), node[step]
    if not what.startswith("Object"):
        raise _wrong(node, path)
    name = what.split("`")[1]
    if name in FORMERLY and "unknown" in what:
        node[FORMERLY[name]] = node.pop(name)
        return from_json(kind, whole, given)
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
    """Return the key of a mapping whose value does not fit: alone in it, it still does not. `node` is cut to it."""
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
    """Set the value of a dotted path; sections that are not there yet are made."""
    *sections, key = path.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[key] = value


def brief(value: Any) -> str:
    """Return a value as a message may show it: in ASCII, on one line, and not long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > SHOWN:
        return "a number too large"
    return brief_text(json.dumps(value))


def brief_text(text: str) -> str:
    """Return a text without what a terminal acts on, and not long."""
    plain = json.dumps(text)[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}…"
