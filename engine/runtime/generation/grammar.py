"""Which tokens may come next, by the grammar of the answers; for transformers and llama.cpp alike.

A `Grammar` is built once for a tokenizer and hands out a `Matcher` for each row. Token ids are equal
in both worlds, so one way of reading the tokenizer's file does. No torch: masks are numpy bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final, Self

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import fill_next_token_bitmask
from numpy.typing import NDArray

from engine.errors import Problem, StageError
from engine.kinds import AnswerForm
from engine.recipe.answer_grammar import answer_grammar, object_grammar
from engine.recipe.model import Json, Task

Bits = NDArray[np.int32]
"""One bit a token, the lowest first; 32 in a number."""
WORD: Final = 32
_SCHEMAS: Final = ("properties", "$defs", "definitions", "patternProperties")


class Grammar:
    """The answers of a task in the tokens of one model, with the text that ends them."""

    def __init__(self, vocabulary: LLTokenizer, answer: str, terminator: str) -> None:
        """Compile `answer` (`engine.recipe.answer_grammar`) and what ends it. StageError X614."""
        self.vocabulary = vocabulary
        self.terminator = terminator
        tokens = vocabulary.tokenize_str(terminator, parse_special=True)
        twice = vocabulary.tokenize_str(terminator * 2, parse_special=True)
        # The terminator is one token, and never merges with its neighbours.
        is_one = len(tokens) == 1 and twice == tokens * 2
        ending = list[str]()
        for is_special, part in groupby(tokens, vocabulary.is_special_token):
            if is_special or is_one:
                ending += (f"<[{token}]>" for token in part)
            else:
                ending.append(json.dumps(vocabulary.decode_str(list(part)), ensure_ascii=False))
        start = f"start: answer {' '.join(ending)}\n{answer}"
        self._first = LLMatcher(vocabulary, LLMatcher.grammar_from_lark(start), log_level=0)
        if self._first.is_error():
            raise StageError.one(
                "X614", f"the answers cannot be made a grammar: {_reason(self._first.get_error())}"
            )

    @classmethod
    def of(cls, tokenizer: Any, answer: str, terminator: str) -> Self:
        """Return the grammar for a fast tokenizer of transformers. StageError X614, X615."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            what = "answers can only be constrained with a fast tokenizer"
            hint = "the model folder needs tokenizer.json"
            raise StageError.one("X615", what, hint=hint)
        settings = json.loads(backend.to_str())
        settings |= {"padding": None, "truncation": None}
        eos = tokenizer.eos_token_id
        return cls(LLTokenizer(json.dumps(settings), eos_token=eos), answer, terminator)

    @property
    def words(self) -> int:
        """Number of 32-bit words of a mask."""
        size: int = self.vocabulary.vocab_size
        return (size + WORD - 1) // WORD

    def matcher(self) -> Matcher:
        """Return a matcher at the start of an answer."""
        return Matcher(self._first.deep_copy(), words=self.words)


class Matcher:
    """One row's way through the grammar."""

    __slots__ = ("_matcher", "_words")

    def __init__(self, matcher: LLMatcher, *, words: int) -> None:
        """Take over an llguidance matcher; `words` is the length of a mask."""
        self._matcher = matcher
        self._words = words

    @property
    def is_done(self) -> bool:
        """The answer and its terminator are complete."""
        return self._matcher.is_stopped()

    def forced(self) -> list[int]:
        """Return the tokens that must come next, whatever the model would choose, and take them."""
        tokens: list[int] = [] if self.is_done else self._matcher.compute_ff_tokens()
        if tokens and not self._matcher.consume_tokens(tokens):
            raise ValueError(self._matcher.get_error())
        return tokens

    def fill(self, bits: Bits, row: int) -> None:
        """Write the tokens that may come next into one row of `bits`, [rows, words]."""
        fill_next_token_bitmask(self._matcher, bits, row)

    def allowed(self) -> NDArray[np.int64]:
        """Return the tokens that may come next, rising."""
        bits = np.zeros((1, self._words), dtype=np.int32)
        self.fill(bits, 0)
        return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))

    def accept(self, token: int) -> None:
        """Take a token that the model chose. ValueError for one that may not come next."""
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} may not come next: {self._matcher.get_error()}")


def check_grammar(task: Task) -> None:
    """Raise StageError X614 for a task whose answers no grammar can hold, with the place in its schema.

    Needs no model, so it is asked before anything is spent.
    """
    if problems := list(grammar_problems(task)):
        raise StageError(problems)


def grammar_problems(task: Task) -> Iterator[Problem]:
    """Yield what keeps the answers of a task from being constrained (X614)."""
    answer = answer_grammar(task)
    if answer is None or (error := _fault(answer)) is None:
        return
    hint = "without it answers are checked less strictly; or say it in `task.instruction`"
    if task.spec.answer is not AnswerForm.OBJECT:
        yield Problem(code="X614", message=f"the answers cannot be made a grammar: {error}")
        return
    place = _deepest(task.schema, task.schema)
    yield Problem(
        code="X614",
        message=f"the schema cannot be made a grammar: {error}",
        path=".".join(("task.schema", *place)),
        hint=f"leave `{place[-1]}` out; {hint}" if place else None,
    )


def _fault(answer: str) -> str | None:
    """Return why llguidance cannot compile a grammar, or None where it can."""
    grammar = LLMatcher.grammar_from_lark(f"start: answer\n{answer}")
    is_error, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    return _reason(messages[0]) if is_error else None


def _deepest(schema: Json, root: Json) -> tuple[str, ...]:
    if not isinstance(schema, dict):
        return ()
    for path, inner in _below(schema):
        if _fails(inner, root):
            return (*path, *_deepest(inner, root))
    for key in schema:
        if not _fails({name: value for name, value in schema.items() if name != key}, root):
            return (key,)
    return ()


def _below(schema: Mapping[str, Json]) -> Iterator[tuple[tuple[str, ...], Json]]:
    # Definitions first: a fault in one would be found again at each reference to it.
    for key in sorted(schema, key=lambda key: key not in ("$defs", "definitions")):
        value = schema[key]
        if key in _SCHEMAS and isinstance(value, dict):
            yield from (((key, name), inner) for name, inner in value.items())
        elif isinstance(value, list) and key in ("allOf", "anyOf", "oneOf", "prefixItems"):
            yield from (((key, str(place)), inner) for place, inner in enumerate(value))
        elif isinstance(value, dict) and key in ("items", "additionalProperties"):
            yield (key,), value


def _fails(schema: Json, root: Json) -> bool:
    if not isinstance(schema, dict):
        return False
    shared = root if isinstance(root, dict) else {}
    # A part may refer to what the root defines.
    defs: dict[str, Json] = {key: shared[key] for key in ("$defs", "definitions") if key in shared}
    return _fault(object_grammar({**defs, **schema})) is not None


def _reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("error:")), lines[0] if lines else "")
    for known in ("failed to compile JSON schema:", "error:"):
        reason = reason.rpartition(known)[2]
    return reason.strip().replace('"', "`").rstrip(".")
