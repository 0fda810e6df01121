"""The walk down the trie asks only where there is something to choose."""

from __future__ import annotations

import math

import pytest

from engine.runtime.trie import Choice, Trace, Walk, build_trie

ANSWERS = [[1, 2, 9], [1, 3, 9], [4, 9]]


def test_forced_tokens_are_taken_without_asking() -> None:
    walk = Walk(build_trie(ANSWERS))

    walk.take([1.0, 0.0])
    after_first = walk.pending, walk.allowed
    walk.take([0.0, 0.0])

    assert (after_first, walk.pending) == (([1], [2, 3]), [2, 9])


def test_the_probability_is_the_product_of_the_shares_at_the_branches() -> None:
    walk = Walk(build_trie(ANSWERS))

    walk.take([math.log(3), math.log(1)])
    walk.take([math.log(1), math.log(4)])

    assert walk.choice is not None
    assert (1, pytest.approx(0.75 * 0.8)) == (walk.choice.index, walk.choice.probability)


def test_ties_go_to_the_first_answer() -> None:
    walk = Walk(build_trie([[7, 9], [5, 9]]))

    walk.take([0.0, 0.0])

    assert Choice(index=0, probability=0.5) == walk.choice


def test_huge_logits_do_not_overflow() -> None:
    walk = Walk(build_trie([[1], [2]]))

    walk.take([1e6, -1e6])

    assert Choice(index=0, probability=1.0) == walk.choice


def test_a_shared_start_is_pending_before_the_first_question() -> None:
    assert Walk(build_trie([[8, 8, 1], [8, 8, 2]])).pending == [8, 8]


def test_a_trace_that_stays_in_the_trie_ends_in_its_choice() -> None:
    trace = Trace(build_trie([[0, 2], [1, 2]]))

    trace.follow(1, [0.0, math.log(3), 0.0])
    trace.follow(2, [9.0, 0.0, 0.0])

    assert trace.choice is not None
    assert (1, pytest.approx(0.75)) == (trace.choice.index, trace.choice.probability)


def test_a_trace_that_leaves_the_trie_has_no_choice() -> None:
    trace = Trace(build_trie([[0, 2], [1, 2]]))

    for token in (0, 1, 2):
        trace.follow(token, [0.0, 0.0, 0.0])

    assert trace.choice is None
