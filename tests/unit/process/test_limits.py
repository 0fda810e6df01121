"""What takes too long is stopped, and named as that."""

import contextlib
import itertools
from collections.abc import Callable

import pytest

from engine.process.limits import TooSlowError, processor_time


def endless() -> None:
    for _ in itertools.count():
        pass


def fails_in_its_own_way() -> None:
    try:
        endless()
    finally:
        raise IndexError("pop from an empty stack")


def passes_over_it() -> None:
    with contextlib.suppress(BaseException):
        endless()


@pytest.mark.parametrize("stopped", [endless, fails_in_its_own_way, passes_over_it])
def test_what_takes_too_long_is_named_whatever_becomes_of_it(stopped: Callable[[], None]) -> None:
    with pytest.raises(TooSlowError), processor_time(0.01):
        stopped()


def test_an_error_in_time_is_its_own() -> None:
    with pytest.raises(IndexError), processor_time(60):
        [].pop()
