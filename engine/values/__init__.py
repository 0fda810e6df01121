"""`dataclass` of the standard library, with methods that are written when they are first called.

Writing them is most of what a class costs at import, and light verbs make one in five of the classes that they import.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, FrozenInstanceError, fields, make_dataclass
from dataclasses import dataclass as eager
from typing import TYPE_CHECKING, Any, NoReturn

METHODS = ("__init__", "__repr__", "__eq__", "__hash__")


def _dataclass[T](
    *, frozen: bool = False, slots: bool = False, kw_only: bool = False, order: bool = False
) -> Callable[[type[T]], type[T]]:
    if order or not slots:
        return eager(frozen=frozen, slots=slots, kw_only=kw_only, order=order)

    def decorate(cls: type[T]) -> type[T]:
        # of a class without one the signature becomes it, which is not known yet
        cls.__doc__ = cls.__doc__ or cls.__name__
        made = eager(slots=True, kw_only=kw_only, init=False, repr=False, eq=False)(cls)
        methods = {name: _first_call(made, name) for name in METHODS if name not in vars(cls)}
        if frozen:
            methods |= FROZEN
        else:
            methods["__hash__"] = None
        for name, method in methods.items():
            setattr(made, name, method)
        return made

    return decorate


def _first_call(cls: type, name: str) -> Any:
    """Return a method that writes the real one in its own place, and calls that."""

    def method(self: object, *values: object, **named: object) -> object:
        written = _init(cls) if name == "__init__" else _as_eager(cls, name)
        written.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, written)
        return written(self, *values, **named)

    return method


def _init(cls: Any) -> Any:
    """Write what fills the fields; those that are not given stay as they are until `__post_init__`."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_NOT_GIVEN": MISSING}
    by_place, by_name, body = ["self"], list[str](), list[str]()
    for one in fields(cls):
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


def _as_eager(cls: Any, name: str) -> Any:
    """Return a method as the standard library writes it for a class of the same fields."""
    given = [(one.name, one.type, copy(one)) for one in fields(cls)]
    return getattr(make_dataclass(cls.__name__, given, frozen=True), name)


def _refuse_to_set(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, one.name) for one in fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)


FROZEN = {
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
