"""Rows decoded together say what each says alone: free, or held to a grammar."""

from typing import Any

import pytest
import torch

import engine.runtime.generation.generate as module
from engine.recipe.answer_grammar import object_grammar
from engine.runtime.generation.generate import generate
from engine.runtime.generation.grammar import Grammar
from engine.runtime.generation.sequence import GeneratedText
from engine.runtime.models.load import LoadedModel
from engine.runtime.scoring import packed_cache
from engine.runtime.scoring.label_search import common_prefix
from engine.runtime.scoring.packed_cache import UnsupportedModelError
from engine.values import replace

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "film": {"enum": ["good", "bad", "not bad"]},
        "stars": {"type": "integer", "minimum": 0, "maximum": 5},
        "words": {"type": "array", "items": {"enum": ["plot", "film"]}, "maxItems": 2},
    },
    "required": ["film", "stars", "words"],
}
ALIKE = [
    f"is this good?\n{text}" for text in ("good", "a film that is not bad at all", "日本", "b")
]
UNLIKE = ["a good film", "b", "the plot", "some other text that is long"]
MOST = 40


@pytest.fixture
def grammar(pico: LoadedModel) -> Grammar:
    return Grammar.of(pico.chat.tokenizer, object_grammar(SCHEMA), pico.chat.terminator)


@torch.inference_mode()
def _alone(pico: LoadedModel, prompt: str, grammar: Grammar | None) -> GeneratedText:
    """One row, no cache, no forced tokens: at every step a forward pass over all there is."""
    ids = pico.chat.token_ids(prompt)
    start, probability = len(ids), 1.0
    matcher = None if grammar is None else grammar.matcher()
    while len(ids) - start < MOST:
        shares = pico.model(input_ids=torch.tensor([ids])).logits[0, -1]
        if matcher is not None:
            kept = torch.full_like(shares, -torch.inf)
            allowed = torch.from_numpy(matcher.allowed())
            kept[allowed] = shares[allowed]
            shares = kept
        shares = shares.softmax(-1)
        token = int(shares.argmax())
        probability *= float(shares[token])
        if token in pico.chat.stop_ids():
            return GeneratedText(
                text=pico.chat.text(ids[start:]), probability=probability, finished=True
            )
        ids.append(token)
        if matcher is not None:
            matcher.accept(token)
    return GeneratedText(text=pico.chat.text(ids[start:]), probability=probability, finished=False)


@pytest.mark.parametrize("prompts", [ALIKE, UNLIKE, ALIKE[:1]])
@pytest.mark.parametrize("way", ["free", "bound"])
def test_rows_together_say_what_each_says_alone(
    pico: LoadedModel, grammar: Grammar, progress: Any, prompts: list[str], way: str
) -> None:
    held = grammar if way == "bound" else None

    generated = generate(pico, prompts, max_new_tokens=MOST, progress=progress, constraint=held)

    alone = [_alone(pico, prompt, held) for prompt in prompts]
    assert [(one.text, one.finished) for one in generated] == [
        (one.text, one.finished) for one in alone
    ]
    assert [one.probability for one in generated] == pytest.approx(
        [one.probability for one in alone], rel=1e-3
    )
    assert progress.updates[-1] == (len(prompts), len(prompts))


@pytest.mark.parametrize(("name", "value"), [("ROWS", 2), ("PASS_TOKENS", 1), ("STORE_BYTES", 1)])
def test_little_room_changes_no_answer(
    pico: LoadedModel,
    grammar: Grammar,
    progress: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: int,
) -> None:
    asked: Any = {"max_new_tokens": MOST, "progress": progress, "constraint": grammar}
    plenty = generate(pico, [*ALIKE, *UNLIKE], **asked)
    monkeypatch.setitem(getattr(module, name), "cpu", value)

    scarce = generate(pico, [*ALIKE, *UNLIKE], **asked)

    assert [one.text for one in plenty] == [one.text for one in scarce]


def test_a_model_that_cannot_be_packed_is_asked_row_by_row(
    pico: LoadedModel, grammar: Grammar, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Any = {"max_new_tokens": MOST, "progress": progress, "constraint": grammar}
    packed = generate(pico, ALIKE, **asked)

    def refuse(*_: Any) -> None:
        raise UnsupportedModelError

    monkeypatch.setattr(packed_cache, "refuse_other_logits", refuse)

    assert [one.text for one in packed] == [one.text for one in generate(pico, ALIKE, **asked)]


def test_an_answer_that_is_all_forced_needs_no_model(pico: LoadedModel, progress: Any) -> None:
    only = Grammar.of(pico.chat.tokenizer, 'answer: "yes"', pico.chat.terminator)

    generated = generate(pico, ALIKE, max_new_tokens=MOST, progress=progress, constraint=only)

    assert {(one.text, one.probability, one.finished) for one in generated} == {("yes", 1.0, True)}


def test_text_that_is_cut_off_is_not_finished(
    pico: LoadedModel, grammar: Grammar, progress: Any
) -> None:
    asked: Any = {"max_new_tokens": 2, "progress": progress, "constraint": grammar}

    assert {one.finished for one in generate(pico, ALIKE, **asked)} == {False}


def test_a_terminator_of_ordinary_tokens_ends_an_answer(pico: LoadedModel, progress: Any) -> None:
    ends = "\n### end"
    chat = replace(pico.chat, terminator=ends)
    model = replace(pico, chat=chat)
    held = Grammar.of(chat.tokenizer, object_grammar(SCHEMA), ends)

    generated = generate(model, ALIKE, max_new_tokens=60, progress=progress, constraint=held)

    assert all(one.finished and one.text.endswith("}") for one in generated)


def test_a_row_that_rounding_moved_is_outvoted_by_its_own_neighbours(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, apart = packed_cache._apart, list[float]()

    def first_is_far(packed: torch.Tensor, plain: torch.Tensor) -> float:
        apart.append(real(packed, plain))
        return float("inf") if len(apart) <= 2 else apart[-1]

    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(packed_cache, "_apart", first_is_far)
    monkeypatch.setattr(module, "feed", never)

    found = generate(pico, ALIKE, max_new_tokens=2, progress=progress)

    assert len(found) == len(ALIKE)
    assert len(apart) == 4
    assert max(apart) < 1e-3


def test_no_more_room_is_taken_than_all_rows_need(
    pico: LoadedModel, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = list[int]()

    class Cache(packed_cache.PackedCache):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            taken.append(len(self.free))

    monkeypatch.setattr(module, "PackedCache", Cache)

    generate(pico, UNLIKE, max_new_tokens=MOST, progress=progress)

    rows = [pico.chat.token_ids(prompt) for prompt in UNLIKE]
    assert taken == [sum(len(row) - common_prefix(rows) + MOST + 1 for row in rows)]


# Batched, cached decoding gives what the plain way gives.
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


def _prompts(pico: LoadedModel, instruction: str = "is this good?") -> list[str]:
    return [
        pico.chat.prompt([{"role": "user", "content": f"{instruction}\n\n{text}"}])
        for text in TEXTS
    ]


def test_progress_counts_every_row(pico: LoadedModel, progress: Any) -> None:
    generate(pico, _prompts(pico), max_new_tokens=1, progress=progress)

    assert progress.updates[-1] == (len(TEXTS), len(TEXTS))


def test_generate_gives_what_transformers_generates(pico: LoadedModel, progress: Any) -> None:
    prompts = _prompts(pico)

    generated = generate(pico, prompts, max_new_tokens=12, progress=progress)

    expected = []
    for prompt in prompts:
        ids = torch.tensor([pico.chat.token_ids(prompt)])
        out = pico.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
        )
        expected.append(pico.chat.text(out[0, ids.shape[1] :].tolist()))
    assert expected == [one.text for one in generated]
