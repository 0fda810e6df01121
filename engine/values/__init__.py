"""`dataclass` of the standard library, whose fields and methods are worked out when they are first needed.

Working them out is most of what a class costs at import, and light verbs make values of one in five of the classes
that they import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import MISSING, Field, FrozenInstanceError, field, fields, make_dataclass, replace
from dataclasses import dataclass as eager
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

METHODS = ("__init__", "__repr__", "__eq__", "__hash__")
FIELDS, PARAMS = "__dataclass_fields__", "__dataclass_params__"
"""What the standard library writes into a class, and asks it for."""
MARK = "_field_type"
"""And into a field that is no InitVar and no ClassVar."""


def _dataclass[T](
    *, frozen: bool = False, slots: bool = False, kw_only: bool = False, order: bool = False
) -> Callable[[type[T]], type[T]]:
    def decorate(cls: type[T]) -> type[T]:
        if order or not slots or any(map(_calls_super, vars(cls).values())):
            return eager(frozen=frozen, slots=slots, kw_only=kw_only, order=order)(cls)
        made: type[T] = _slotted(cls, frozen=frozen, kw_only=kw_only)
        return made

    return decorate


def _calls_super(member: object) -> bool:
    """Whether it is a function that the compiler has tied to its class: `_slotted` returns another one."""
    return isinstance(member, FunctionType) and "__class__" in member.__code__.co_freevars


def _slotted(cls: Any, *, frozen: bool, kw_only: bool) -> Any:
    """Return a class of the same body that has a slot for each field: slots are given to new classes only."""
    body = dict(vars(cls))
    kinds = {name: kind for name, kind in cls.__annotations__.items() if "ClassVar" not in kind}
    defaults = {name: body.pop(name) for name in kinds if name in body}
    inherited = {slot for base in cls.__mro__[1:] for slot in vars(base).get("__slots__", ())}
    for name in ("__dict__", "__weakref__"):
        body.pop(name, None)
    # of a class without one the signature becomes it, which is not known yet
    body["__doc__"] = cls.__doc__ or cls.__name__
    body["__slots__"] = tuple(name for name in kinds if name not in inherited)
    body[FIELDS] = _Fields(kinds, defaults, frozen=frozen, kw_only=kw_only)
    methods, fixed = (FIRST_CALLS, FROZEN) if frozen else ({**FIRST_CALLS, "__hash__": None}, {})
    made = type(cls)(cls.__name__, cls.__bases__, {**methods, **body, **fixed})
    made.__qualname__ = cls.__qualname__
    return made


@eager(init=False, repr=False, eq=False)
class _Pattern:
    """What the standard library makes of a class and of a field."""

    field: object


class _Fields:
    """The fields that a class adds to those of its bases; asked for, all of them take its place."""

    __slots__ = ("defaults", "frozen", "kinds", "kw_only")

    def __init__(
        self, kinds: Mapping[str, str], defaults: Mapping[str, Any], *, frozen: bool, kw_only: bool
    ) -> None:
        self.kinds, self.defaults, self.frozen, self.kw_only = kinds, defaults, frozen, kw_only

    def __get__(self, _value: object, cls: type) -> dict[str, Field[Any]]:
        owner = next((one for one in cls.__mro__ if vars(one).get(FIELDS) is self), None)
        # Another thread may have worked them out since this one looked.
        if owner is None:
            found: dict[str, Field[Any]] = getattr(cls, FIELDS)
            return found
        known: dict[str, Field[Any]] = {}
        for base in owner.__mro__[:0:-1]:
            known |= getattr(base, FIELDS, {})
        known |= self.own()
        params = copy(getattr(_Pattern, PARAMS))
        params.frozen, params.kw_only = self.frozen, self.kw_only
        setattr(owner, PARAMS, params)
        setattr(owner, FIELDS, known)
        return known

    def own(self) -> dict[str, Field[Any]]:
        """Make them; the standard library takes ten times as long to see that none is more than a field."""
        found = {}
        for name, kind in self.kinds.items():
            given = self.defaults.get(name, MISSING)
            one: Field[Any] = given if isinstance(given, Field) else field(default=given)
            one.name, one.type = name, kind
            one.kw_only = self.kw_only if one.kw_only is MISSING else one.kw_only
            setattr(one, MARK, getattr(fields(_Pattern)[0], MARK))
            found[name] = one
        return found


class _Positional:
    """The fields that a pattern may name by their place."""

    def __get__(self, _value: object, cls: type) -> tuple[str, ...]:
        return tuple(one.name for one in fields(cls) if one.init and not one.kw_only)


def _first_call(name: str) -> Any:
    """Return a method that writes the real one of a class in its own place, and calls that."""

    def method(self: object, *values: object, **named: object) -> object:
        cls = next((one for one in type(self).__mro__ if vars(one).get(name) is method), None)
        # Another thread may have written it since this one looked.
        if cls is None:
            return getattr(type(self), name)(self, *values, **named)
        written = _init(cls) if name == "__init__" else _as_eager(cls, name)
        written.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, written)
        return written(self, *values, **named)

    return method


def _init(cls: Any) -> Any:
    """Write what fills the fields; those that are not given stay as they are until `__post_init__`."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_NOT_GIVEN": MISSING}
    by_place, by_name, body = ["self"], list[str](), list[str]()
    for one in _parameters(cls):
        if not one.init:
            continue
        parameter = value = one.name
        if one.default_factory is not MISSING:
            names[f"_make_{one.name}"] = one.default_factory
            parameter += "=_NOT_GIVEN"
            value = f"_make_{one.name}() if {one.name} is _NOT_GIVEN else {one.name}"
        elif one.default is not MISSING:
            names[f"_default_{one.name}"] = one.default
            parameter += f"=_default_{one.name}"
        (by_name if one.kw_only else by_place).append(parameter)
        body.append(f"_set(self, {one.name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join([*by_place, *(["*", *by_name] if by_name else [])])
    exec(f"def __init__({parameters}):\n " + "\n ".join(body or ["pass"]), names)
    return names["__init__"]


def _parameters(cls: type) -> list[Field[Any]]:
    found: dict[str, Field[Any]] = {}
    for base in reversed(cls.__mro__):
        noted = vars(base).get(FIELDS, {})
        found |= noted.own() if isinstance(noted, _Fields) else noted
    return list(found.values())


def _as_eager(cls: Any, name: str) -> Any:
    """Return a method as the standard library writes it for a class of the same fields."""
    given = [(one.name, one.type, copy(one)) for one in fields(cls)]
    made: Any = make_dataclass(
        cls.__name__,
        given,
        # else the signature becomes its docstring, which takes longer than all else
        namespace={"__doc__": name},
        init=False,
        repr=name == "__repr__",
        eq=name != "__repr__",
        unsafe_hash=name == "__hash__",
    )
    return getattr(made, name)


def _refuse_to_set(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, one.name) for one in fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)


FIRST_CALLS: Mapping[str, Any] = {
    **{name: _first_call(name) for name in METHODS},
    "__match_args__": _Positional(),
    "__replace__": replace,
}
"""What a class has that does not write it itself."""
FROZEN: Mapping[str, Any] = {
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
"""What an unpickled value needs too, since nothing can be set on it."""

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass
