"""Reported before training: a tokenizer that reads texts in changing ways, or does not give answers back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.errors import Problem, Severity
from engine.files.reading import read_json
from engine.inference.token_corpus import corpus

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

FILE: Final = "tokenizer.json"
ANSWERS: Final = 1000
"""Different ones that are looked at."""
MOST_LOST: Final = 0.5
"""Share of free answers that do not come back from which none is worth training; labels must all come back."""
PLAIN: Final = (
    'The quick brown Fox: 12,345 jumps (over) [lazy] dogs; "it\'s" x_y = {a}/b & 7%!',
    "Café, naïve, Müller, año",
)
"""Texts that every cased tokenizer gives back, accents included: answers may have none while questions do."""
HINT: Final = "take the tokenizer files of the same revision of the same model"


def known_tokens(folder: Path) -> dict[str, int] | None:
    """Return the tokens of a folder's tokenizer.json by their text; None where it has none or lists them otherwise."""
    path = folder / FILE
    if not path.is_file():
        return None
    whole = read_json(path)
    words = whole.get("model", {}).get("vocab")
    if not isinstance(words, dict):
        return None
    return {**words, **{one["content"]: one["id"] for one in whole.get("added_tokens") or ()}}


def tokenizer_problems(
    chat: Chat, answers: Iterable[str], *, are_labels: bool
) -> Iterator[Problem]:
    """Yield X841 for a tokenizer that cannot be relied on; as a warning where some texts alone are changed."""
    texts = corpus()
    if chat.all_token_ids(texts) != chat.all_token_ids(texts):
        why = "reads the same text as other tokens each time (`dropout` in tokenizer.json)"
        yield _problem(why, Severity.ERROR)
        return
    words = chat.tokenizer.get_vocab()
    if len(set(words.values())) < len(words):
        yield _problem("gives two tokens the same number", Severity.ERROR)
    for text in PLAIN:
        ids = chat.token_ids(text)
        marked = chat.tokenizer(text)["input_ids"]
        behind = marked[len(marked) - marked[::-1].index(ids[-1]) :] if ids[-1] in marked else []
        if behind:
            yield _problem(
                f"writes {chat.tokenizer.decode(behind)!r} behind every text: programs that let it do so ask after"
                " an end",
                Severity.WARNING,
            )
            break
    every = [*islice(dict.fromkeys(answers), ANSWERS)]
    lost = [(text, back) for text in every if (back := _back(chat, text)) != text.strip()]
    if lost:
        text, back = lost[0]
        is_fatal = are_labels or len(lost) > MOST_LOST * len(every)
        yield _problem(
            f"does not give {len(lost)} of {len(every)} answers back: {text[:40]!r} becomes {back[:40]!r}",
            Severity.ERROR if is_fatal else Severity.WARNING,
        )
        return
    for text in PLAIN:
        if (back := _back(chat, text)) != text:
            yield _problem(f"does not give texts back: {text!r} becomes {back!r}", Severity.WARNING)
            return


def _back(chat: Chat, text: str) -> str:
    """Return what is left of a text that was read and written."""
    found = chat.tokenizer.decode(chat.token_ids(text), clean_up_tokenization_spaces=False)
    return str(found).strip()


def _problem(why: str, severity: Severity) -> Problem:
    message = f"the tokenizer of the base model {why}"
    return Problem(code="X841", message=message, path="base_model", hint=HINT, severity=severity)
