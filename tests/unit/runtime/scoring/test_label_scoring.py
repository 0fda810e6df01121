"""Packed, cached, best-first scoring gives what scoring every answer in a pass of its own gives."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring import label_scoring, packed_cache
from engine.runtime.scoring import label_scoring as choosing
from engine.runtime.scoring.label_scoring import choose, search_rows
from engine.runtime.scoring.label_search import Search, make_tree
from engine.runtime.scoring.packed_cache import PackedCache
from engine.values import replace
from support.examples import examples

ANSWERS = ["positive", "negative", "neutral", "not sure", "not at all"]
TEXTS = [
    "good",
    "not a good film at all",
    "日本 é",
    "",
    "x" * 90,
    "the plot was bad",
    "good",
    "a\nb",
]
WORDS = ["good", "bad", "not", "film", "the", "plot", "é", "liked"]


def _prompts(pico: LoadedModel, texts: Sequence[str] = TEXTS) -> list[str]:
    return [
        pico.chat.prompt([{"role": "user", "content": f"is this good?\n\n{text}"}])
        for text in texts
    ]


def _ended(pico: LoadedModel, answers: Sequence[str] = ANSWERS) -> list[str]:
    return [answer + pico.chat.terminator for answer in answers]


@torch.inference_mode()
def _slowly(loaded: LoadedModel, prompt: str, answer: str) -> float:
    """One row, one answer, no cache, no tree."""
    asked, tokens = loaded.chat.token_ids(prompt), loaded.chat.token_ids(answer)
    logits = loaded.model(input_ids=torch.tensor([[*asked, *tokens]])).logits[0]
    log_probabilities = logits[len(asked) - 1 : -1].log_softmax(-1)
    return float(log_probabilities[range(len(tokens)), tokens].sum())


def _scores(
    loaded: LoadedModel, prompts: Sequence[str], answers: Sequence[str]
) -> list[list[float]]:
    """All scores, packed, by prompt and answer; less what all answers share."""
    tree = make_tree([loaded.chat.token_ids(answer) for answer in answers])
    found: dict[int, Search] = {}
    search_rows(
        loaded, prompts, tree, make=lambda: Search(tree, exhaustive=True), done=found.__setitem__
    )
    return [[found[row].scores[at] for at in range(len(answers))] for row in range(len(prompts))]


def _relative(scores: Sequence[float]) -> list[float]:
    return [score - scores[0] for score in scores]


def _never(*_: Any) -> Any:
    raise AssertionError("the row went alone")


@pytest.fixture
def packed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "plain_logits", _never)


texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
labels = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    min_size=2,
    max_size=8,
    unique=True,
)


@settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(texts, min_size=1, max_size=4), labels)
@pytest.mark.usefixtures("packed_only")
def test_all_scores_are_those_of_plain_scoring(
    pico: LoadedModel, rows: list[str], answers: list[str]
) -> None:
    prompts, ended = _prompts(pico, rows), _ended(pico, answers)

    scores = _scores(pico, prompts, ended)

    for prompt, found in zip(prompts, scores, strict=True):
        expected = [_slowly(pico, prompt, answer) for answer in ended]
        assert _relative(found) == pytest.approx(_relative(expected), abs=1e-4)


@settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(texts, min_size=1, max_size=4), labels)
@pytest.mark.usefixtures("packed_only")
def test_the_best_answer_and_the_shares_are_those_of_all_scores(
    pico: LoadedModel, progress: Any, rows: list[str], answers: list[str]
) -> None:
    prompts, ended = _prompts(pico, rows), _ended(pico, answers)

    best = choose(pico, prompts, ended, progress=progress)
    shares = choose(pico, prompts, ended, progress=progress, distribution=True)

    for row, scores in enumerate(_scores(pico, prompts, ended)):
        total = math.fsum(math.exp(score - scores[0]) for score in scores)
        exact = [math.exp(score - scores[0]) / total for score in scores]
        assert exact[best[row].index] == pytest.approx(max(exact), abs=1e-5)
        assert best[row].probability <= exact[best[row].index] + 1e-5
        assert shares[row].index == best[row].index
        assert shares[row].probabilities == pytest.approx(exact, abs=1.1e-3)


@pytest.mark.usefixtures("packed_only")
def test_many_labels_in_little_room_score_the_same(
    pico: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 labels that share beginnings, more rows than fit, passes shorter than a row."""
    answers = _ended(pico, [f"{WORDS[at % 8]} {WORDS[at // 8 % 8]} {at}" for at in range(200)])
    prompts = _prompts(pico, [f"{'film ' * (at % 7)}{at}" for at in range(4)])
    whole = _scores(pico, prompts, answers)
    monkeypatch.setitem(label_scoring.PASS_TOKENS, "cpu", 16)
    monkeypatch.setitem(label_scoring.STORE_BYTES, "cpu", 1)
    monkeypatch.setitem(label_scoring.LOGIT_BYTES, "cpu", 8 * 4 * 320)

    little = _scores(pico, prompts[:2], answers)

    for found, expected in zip(little, whole, strict=False):
        assert found == pytest.approx(expected, abs=1e-4)
    assert _relative(whole[0][:3]) == pytest.approx(
        _relative([_slowly(pico, prompts[0], answer) for answer in answers[:3]]), abs=1e-4
    )


@pytest.mark.usefixtures("packed_only")
def test_rows_without_a_shared_start_score_the_same(pico: LoadedModel) -> None:
    prompts = ["a good film", "b", "the plot", "a", "some other text that is long"]
    answers = _ended(pico)

    scores = _scores(pico, prompts, answers)

    for prompt, found in zip(prompts, scores, strict=True):
        expected = [_slowly(pico, prompt, answer) for answer in answers]
        assert _relative(found) == pytest.approx(_relative(expected), abs=1e-4)


def test_rows_that_go_alone_score_the_same(
    pico: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, answers = _prompts(pico), _ended(pico)
    packed = _scores(pico, prompts, answers)
    monkeypatch.setattr(choosing, "wants_single_rows", lambda *_: True)

    alone = _scores(pico, prompts, answers)

    for found, expected in zip(alone, packed, strict=True):
        assert found == pytest.approx(expected, abs=1e-4)


def test_a_model_that_says_something_else_when_packed_goes_row_by_row(
    pico: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, answers = _prompts(pico), _ended(pico)
    expected = _scores(pico, prompts, answers)
    real = PackedCache.attend

    def wrong(*args: Any, **kwargs: Any) -> Any:
        out, weights = real(*args, **kwargs)
        return out * 0.5, weights

    monkeypatch.setattr(PackedCache, "attend", wrong)

    found = _scores(pico, prompts, answers)

    assert [pytest.approx(row, abs=1e-4) for row in expected] == found


def test_the_models_own_attention_is_put_back(pico: LoadedModel, progress: Any) -> None:
    before = pico.model.config._attn_implementation

    choose(pico, _prompts(pico), _ended(pico), progress=progress)

    assert before == pico.model.config._attn_implementation


def test_half_precision_agrees_about(pico: LoadedModel) -> None:
    prompts, answers = _prompts(pico), _ended(pico)
    exact = _scores(pico, prompts, answers)
    half = replace(pico, model=_half(pico))

    for found, expected in zip(_scores(half, prompts, answers), exact, strict=True):
        assert found == pytest.approx(expected, abs=0.5)


def _half(pico: LoadedModel) -> Any:
    model = type(pico.model)(pico.model.config)
    model.load_state_dict(pico.model.state_dict())
    return model.to(torch.bfloat16).eval()


def test_an_answer_that_is_not_a_number_is_an_error(pico: LoadedModel, progress: Any) -> None:
    model = type(pico.model)(pico.model.config).eval()
    model.load_state_dict(pico.model.state_dict())
    with torch.no_grad():
        model.model.norm.weight.fill_(math.nan)

    with pytest.raises(StageError) as caught:
        choose(replace(pico, model=model), _prompts(pico), _ended(pico), progress=progress)

    assert [problem.code for problem in caught.value.problems] == ["X612"]


def test_progress_counts_every_row(pico: LoadedModel, progress: Any) -> None:
    choose(pico, _prompts(pico), _ended(pico, ["yes", "no"]), progress=progress)

    assert progress.updates[-1] == (len(TEXTS), len(TEXTS))


def test_a_single_answer_needs_no_model(pico: LoadedModel, progress: Any) -> None:
    choices = choose(pico, _prompts(pico), _ended(pico, ["yes"]), progress=progress)

    assert [(choice.index, choice.probability) for choice in choices] == [(0, 1.0)] * len(TEXTS)


def test_equal_answers_are_an_error(pico: LoadedModel, progress: Any) -> None:
    with pytest.raises(StageError) as caught:
        choose(pico, ["a"], ["yes", "yes"], progress=progress)

    assert caught.value.problems[0].code == "X611"


def test_no_rows_give_no_answers(pico: LoadedModel, progress: Any) -> None:
    assert choose(pico, [], ["yes", "no"], progress=progress) == []


@torch.inference_mode()
def _greedy(loaded: LoadedModel, prompt: str, count: int) -> list[int]:
    """The first tokens that the model says when nothing holds it."""
    tokens = loaded.chat.token_ids(prompt)
    for _ in range(count):
        tokens = [*tokens, int(loaded.model(torch.tensor([tokens])).logits[0, -1].argmax())]
    return tokens[-count:]


@pytest.mark.parametrize("is_packed", [True, False])
def test_the_search_knows_what_greedy_decoding_says(
    pico: LoadedModel, monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    if not is_packed:
        monkeypatch.setattr(choosing, "wants_single_rows", lambda *_: True)
    prompts = _prompts(pico)
    first, *others = ([*_greedy(pico, prompt, 3)] for prompt in prompts)
    other = first[0] + 1
    # greedy decoding of the first prompt follows a branch of several tokens to the end of answer 1
    answers = [[other, 5], first, [*first[:2], first[2] + 1], [other, 6]]
    tree = make_tree(answers)
    found: dict[int, Search] = {}

    search_rows(pico, prompts, tree, make=lambda: Search(tree), done=found.__setitem__)

    expected = [1, *(answers.index(own) if own in answers else None for own in others)]
    assert [found[row].choice.greedy for row in range(len(prompts))] == expected
    assert None in expected or is_packed


def test_what_every_answer_begins_with_is_not_taken_for_generated(pico: LoadedModel) -> None:
    prompts = _prompts(pico)[:1]
    tokens = _greedy(pico, prompts[0], 2)
    tree = make_tree([[tokens[0] + 1, 5], [tokens[0] + 1, 6]])
    found: dict[int, Search] = {}

    search_rows(pico, prompts, tree, make=lambda: Search(tree), done=found.__setitem__)

    assert found[0].choice.greedy is None


def test_a_row_that_rounding_moved_is_outvoted_by_its_own_neighbours(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, apart = packed_cache._apart, list[float]()

    def first_is_far(packed: torch.Tensor, plain: torch.Tensor) -> float:
        apart.append(real(packed, plain))
        # The first row is compared twice, the second time beside the others.
        return math.inf if len(apart) <= 2 else apart[-1]

    monkeypatch.setattr(packed_cache, "_apart", first_is_far)
    monkeypatch.setattr(choosing, "plain_logits", _never)

    found = choose(pico, _prompts(pico), _ended(pico), progress=progress)

    assert len(found) == len(TEXTS)
    assert len(apart) == 4
    assert max(apart) < 1e-3
