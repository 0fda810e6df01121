"""The best-first search finds what scoring every answer finds, and looks into no more than it must."""

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.scoring.label_search import (
    AnswerTree,
    LabelChoice,
    Search,
    build_trie,
    common_prefix,
    make_tree,
)

ANSWERS = [[1, 2, 9], [1, 3, 9], [4, 9]]
Says = Callable[[tuple[int, ...]], dict[int, float]]
"""Log-probabilities of the next token, by what stands before it."""


def _run(search: Search, tree: AnswerTree, says: Says) -> int:
    """Feed the search until it is over; return how many rounds that took."""
    paths: dict[int, tuple[int, ...]] = {}
    rounds = 0
    wanted: Sequence[int] = (0,) if tree.branches else ()
    while wanted:
        rounds += 1
        for number in wanted:
            branch = tree.branches[number]
            path = paths.get(branch.parent, tree.forced)
            asked = []
            for before, token in enumerate(branch.tokens[1:], start=1):
                asked.append(says((*path, *branch.tokens[:before]))[token])
            paths[number] = (*path, *branch.tokens)
            asked += [says(paths[number])[token] for token in branch.allowed]
            search.take(number, asked)
        wanted = search.wanted()
    return rounds


def _model(seed: int, sharpness: float = 3.0) -> Says:
    """A made-up model over ten tokens: any two contexts have distributions of their own."""

    def says(path: tuple[int, ...]) -> dict[int, float]:
        logits = [sharpness * math.sin(hash((seed, *path, token)) % 10007) for token in range(10)]
        total = math.log(math.fsum(map(math.exp, logits)))
        return {token: logit - total for token, logit in enumerate(logits)}

    return says


def _score(says: Says, answer: Sequence[int], forced: int = 0) -> float:
    return math.fsum(says(tuple(answer[:at]))[answer[at]] for at in range(forced, len(answer)))


def _terminated(answers: set[tuple[int, ...]]) -> list[list[int]]:
    return [[*answer, 9] for answer in sorted(answers, key=hash)]


some_answers = st.sets(
    st.lists(st.integers(0, 3), min_size=0, max_size=5).map(tuple), min_size=1, max_size=30
).map(_terminated)


@given(some_answers, st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 3.0, 30.0]))
def test_the_best_answer_is_the_best_of_all(
    answers: list[list[int]], seed: int, sharpness: float
) -> None:
    tree, says = make_tree(answers), _model(seed, sharpness)
    search = Search(tree)

    _run(search, tree, says)

    scores = [_score(says, answer, len(tree.forced)) for answer in answers]
    best = search.choice.index
    share = 1 / math.fsum(math.exp(score - scores[best]) for score in scores)
    assert scores[best] == pytest.approx(max(scores), abs=1e-9)
    assert search.choice.probability <= share + 1e-9


@given(some_answers, st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 3.0, 30.0]))
def test_shares_are_known_to_the_tolerance(
    answers: list[list[int]], seed: int, sharpness: float
) -> None:
    tree, says = make_tree(answers), _model(seed, sharpness)
    search, whole = Search(tree, distribution=True), Search(tree, exhaustive=True)

    _run(search, tree, says)
    _run(whole, tree, says)

    choice, exact = search.choice, whole.choice
    assert exact.index == choice.index
    assert exact.probabilities == pytest.approx(choice.probabilities, abs=1.1e-3)
    assert math.fsum(choice.probabilities) == pytest.approx(1.0)
    assert search.expanded <= whole.expanded


@given(some_answers, st.integers(0, 10**6))
def test_exhaustive_scores_are_those_of_each_answer(answers: list[list[int]], seed: int) -> None:
    tree, says = make_tree(answers), _model(seed)
    search = Search(tree, exhaustive=True)

    _run(search, tree, says)

    expected = {
        index: _score(says, answer, len(tree.forced)) for index, answer in enumerate(answers)
    }
    assert expected == pytest.approx(search.scores, abs=1e-9)
    total = math.fsum(map(math.exp, expected.values()))
    shares = [math.exp(expected[index]) / total for index in range(len(answers))]
    assert shares == pytest.approx(search.choice.probabilities, abs=1e-9)


def test_a_certain_model_is_asked_along_its_answer_only() -> None:
    tree = make_tree([[1, 2, 9], [1, 3, 9], [4, 5, 9], [4, 6, 9]])
    sure = {(): 1, (1,): 3, (1, 3): 9}
    search = Search(tree)

    rounds = _run(
        search, tree, lambda path: {t: 0.0 if sure.get(path) == t else -9.0 for t in range(10)}
    )

    assert (search.choice.index, rounds, search.expanded) == (1, 3, 2)


def test_greedy_is_not_best() -> None:
    """The first token's most probable branch holds two answers, either less probable than the third."""
    tree = make_tree(ANSWERS)
    search = Search(tree)
    search.take(0, [math.log(0.6), math.log(0.4)])
    greedy = tree.branches[0].following[0]

    first = search.wanted()
    search.take(greedy, [math.log(0.3), math.log(0.3)])
    (second,) = search.wanted()
    search.take(second, [0.0] if len(tree.branches[second].tokens) == 1 else [0.0, 0.0])

    assert ((greedy,), 2) == (first, search.choice.index)


def test_forced_tokens_go_in_one_feed() -> None:
    tree = make_tree([[7, 1, 2, 3, 9], [7, 4, 9]])

    fed = [(branch.tokens, branch.allowed, branch.following) for branch in tree.branches]
    assert tree.forced == (7,)
    assert fed == [((), (1, 4), (1, 2)), ((1, 2, 3), (9,), (~0,)), ((4,), (9,), (~1,))]


def test_depth_counts_what_stands_between_the_prompt_and_a_branch() -> None:
    tree = make_tree([[1, 2, 3, 5, 9], [1, 2, 3, 6, 9], [4, 9]])

    assert [(branch.parent, branch.depth) for branch in tree.branches] == [
        (-1, 0),
        (0, 0),
        (1, 3),
        (1, 3),
        (0, 0),
    ]


def test_ties_go_to_the_first_answer() -> None:
    tree = make_tree([[7, 5, 9], [5, 9], [6, 9]])
    search = Search(tree)

    _run(search, tree, lambda _: dict.fromkeys(range(10), 0.0))

    assert (search.choice.index, search.choice.probability) == (0, pytest.approx(1 / 3))


def test_one_answer_asks_nothing() -> None:
    tree = make_tree([[1, 2, 9]])

    assert tree.forced == (1, 2, 9)
    assert ((), LabelChoice(index=0, probability=1.0)) == (
        Search(tree).wanted(),
        Search(tree).choice,
    )
    assert Search(tree, distribution=True).choice.probabilities == (1.0,)


def test_impossible_answers_are_equally_likely() -> None:
    tree = make_tree(ANSWERS)
    for modes in ({}, {"distribution": True}, {"exhaustive": True}):
        search = Search(tree, **modes)
        _run(search, tree, lambda _: dict.fromkeys(range(10), -math.inf))
        assert search.choice.index == 0
        assert 0.0 < search.choice.probability <= 1.0


def test_very_improbable_answers_have_shares() -> None:
    tree = make_tree([[1, 9], [2, 9]])
    search = Search(tree, distribution=True)

    _run(search, tree, lambda _: dict.fromkeys(range(10), -900.0))

    assert search.choice.probabilities == (0.5, 0.5)


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        Search(make_tree(ANSWERS)).take(0, [math.nan, 0.0])


def test_a_wrong_count_of_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 2"):
        Search(make_tree(ANSWERS)).take(0, [0.0])


@pytest.mark.parametrize("answers", [[[1], [1]], [[1], [1, 2]], [[1, 2], [1]], [[], [1]]])
def test_answers_that_cannot_be_distinguished_are_refused(answers: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="answer"):
        build_trie(answers)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_common_prefix_is_shared_and_as_long_as_can_be(rows: list[list[int]]) -> None:
    shared = common_prefix(rows)

    def is_shared(length: int) -> bool:
        return all(row[:length] == rows[0][:length] and len(row) > length for row in rows)

    assert (is_shared(shared), is_shared(shared + 1)) == (True, False)


def test_no_rows_share_nothing() -> None:
    assert common_prefix([]) == 0
