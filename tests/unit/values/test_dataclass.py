"""`engine.values.dataclass` beside the standard library's: whatever a class does with one, it does with the other."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from typing import Any, ClassVar

import pytest

from engine import values


@values.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Stands in the module, where pickle finds it."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)


@values.dataclass(frozen=True, slots=True, kw_only=True)
class Named(Point):
    name: str = ""

    @property
    def title(self) -> str:
        return f"{self.name} at {self.x}"


def made_by(dataclass: Any) -> dict[str, Any]:
    """Classes of every form that the engine has."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Value:
        """A value."""

        kind: ClassVar[str] = "value"
        left: int
        right: str = "r"
        rows: list[int] = field(default_factory=list)
        note: str = field(default="", compare=False)
        secret: str = field(default="s", repr=False)

    @dataclass(frozen=True, slots=True)
    class Placed:
        first: int
        second: tuple[int, ...] = ()

    @dataclass(slots=True)
    class Counter:
        total: int = 0
        _parts: list[int] = field(init=False)

        def __post_init__(self) -> None:
            self._parts = [self.total]

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Longer(Value):
        more: float = 0.5

    @dataclass(frozen=True, slots=True)
    class Further(Placed):
        """Its fields stand after those of its base."""

        third: bool = field(default=False, kw_only=True)
        fourth: str = "f"

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    @dataclass(frozen=True, slots=True)
    class Shown:
        text: str

        def __repr__(self) -> str:
            return f"<{self.text}>"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Titled(Longer):
        def __repr__(self) -> str:
            return f"titled {super().__repr__()}"

    @dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        number: int

    @dataclass(frozen=True, kw_only=True)
    class Open:
        number: int

    return {name: one for name, one in locals().items() if isinstance(one, type)}


OURS, THEIRS = made_by(values.dataclass), made_by(dataclasses.dataclass)

SCENES: list[Callable[[dict[str, Any]], object]] = [
    lambda of: repr(of["Value"](left=1)),
    lambda of: repr(of["Longer"](left=1, more=2.0)),
    lambda of: repr(of["Placed"](1, second=(2,))),
    lambda of: repr(of["Counter"](3)),
    lambda of: repr(of["Empty"]()),
    lambda of: repr(of["Shown"]("text")),
    lambda of: repr(of["Further"](1, (2,), "g", third=True)),
    lambda of: of["Further"](1, (), "g", True),
    lambda of: repr(of["Titled"](left=1)),
    lambda of: of["Value"](left=1),
    lambda of: of["Value"](1),
    lambda of: of["Value"](),
    lambda of: of["Placed"](1, 2, 3),
    lambda of: of["Placed"](first=1, other=2),
    lambda of: of["Value"](left=1) == of["Value"](left=1, note="other"),
    lambda of: of["Value"](left=1) == of["Value"](left=2),
    lambda of: of["Value"](left=1) == of["Longer"](left=1),
    lambda of: of["Value"](left=1) == 1,
    lambda of: of["Counter"](1) == of["Counter"](1),
    lambda of: hash(of["Placed"](1)) == hash(of["Placed"](1)),
    lambda of: len({of["Placed"](1), of["Placed"](1), of["Placed"](2)}),
    lambda of: hash(of["Value"](left=1)),
    lambda of: hash(of["Counter"](1)),
    lambda of: of["Value"](left=1).rows is of["Value"](left=1).rows,
    lambda of: setattr(of["Value"](left=1), "left", 2),
    lambda of: delattr(of["Value"](left=1), "left"),
    lambda of: setattr(of["Counter"](1), "other", 2),
    lambda of: setattr(of["Counter"](1), "total", 2),
    lambda of: asdict(of["Longer"](left=1, rows=[1])),
    lambda of: repr(replace(of["Longer"](left=1), left=2, more=1.0)),
    lambda of: repr(replace(of["Further"](1), third=True)),
    lambda of: repr(of["Further"](1).__replace__(first=2)) if sys.version_info >= (3, 13) else "",
    lambda of: repr(copy.deepcopy(of["Longer"](left=1, rows=[1]))),
    lambda of: repr(copy.copy(of["Counter"](1))),
    lambda of: [(one.name, one.type, one.kw_only) for one in fields(of["Longer"])],
    lambda of: [(one.name, one.default, one.type) for one in fields(of["Further"](1))],
    lambda of: [dataclasses.is_dataclass(of[name]) for name in ("Empty", "Counter")],
    lambda of: [of[name].__match_args__ for name in ("Value", "Placed", "Longer", "Further")],
    lambda of: [of[name].__slots__ for name in ("Value", "Longer", "Counter", "Further")],
    lambda of: of["Value"].__doc__,
    lambda of: of["Value"].kind,
    lambda of: of["Ordered"](1) < of["Ordered"](2),
    lambda of: vars(of["Open"](number=1)),
]


def outcome(scene: Callable[[dict[str, Any]], object], of: dict[str, Any]) -> tuple[str, str]:
    try:
        found = scene(of)
    except (TypeError, AttributeError) as error:
        return type(error).__name__, str(error)
    return type(found).__name__, str(found)


@pytest.mark.parametrize("number", range(len(SCENES)))
def test_a_class_behaves_as_one_of_the_standard_library(number: int) -> None:
    scene = SCENES[number]

    # twice: before the methods are written, and after
    assert [outcome(scene, THEIRS)] * 2 == [
        outcome(scene, made_by(values.dataclass)),
        outcome(scene, OURS),
    ]


def test_a_value_comes_back_from_a_pickle_and_stays_frozen() -> None:
    back = pickle.loads(pickle.dumps(Named(x=1, tags=["a"], name="n")))  # noqa: S301 - written here

    assert (Named(x=1, tags=["a"], name="n"), "n at 1") == (back, back.title)
    with pytest.raises(FrozenInstanceError):
        back.x = 2


def test_fields_are_worked_out_when_they_are_first_asked_for() -> None:
    waiting: Any = made_by(values.dataclass)["Counter"]
    waiting(3)
    before = vars(waiting)[values.FIELDS]
    names = [one.name for one in fields(waiting)]

    assert (isinstance(before, dict), names) == (False, ["total", "_parts"])
    assert vars(waiting)[values.FIELDS] is waiting.__dataclass_fields__


def test_methods_are_written_when_they_are_first_called() -> None:
    waiting = made_by(values.dataclass)["Value"]
    before = vars(waiting)["__init__"]
    waiting(left=1)
    after = vars(waiting)["__init__"]
    waiting(left=1)

    assert (before is after, vars(waiting)["__init__"] is after) == (False, True)
    assert after.__qualname__ == f"{waiting.__qualname__}.__init__"


def test_two_threads_may_ask_first() -> None:
    waiting: Any = made_by(values.dataclass)["Counter"]
    # What the slower thread has looked up, before the faster one is done.
    init, own = vars(waiting)["__init__"], vars(waiting)[values.FIELDS]
    one = waiting(1)
    known = waiting.__dataclass_fields__
    init(one, 2)

    assert one.total == 2
    assert own.__get__(None, waiting) is known


def test_a_method_is_written_once_for_subclasses_too() -> None:
    placed: Any = OURS["Placed"]

    class Further(placed):  # type: ignore[misc]
        __slots__ = ()

    assert repr(Further(1)).endswith("Further(first=1, second=())")
