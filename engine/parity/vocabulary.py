"""Whether llama.cpp will read texts as training does, by the vocabulary alone: known before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.environment import own_llama_cpp
from engine.errors import Problem, Severity, StageError
from engine.inference.token_corpus import WORDS, corpus
from engine.parity.ladder import CORPUS
from engine.process.start import working_folder
from engine.progress import Progress

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

FILE: Final = "vocabulary.gguf"
HINT: Final = (
    "set `export: {formats: [safetensors]}`, or take a base model whose tokenizer llama.cpp knows"
)


def vocabulary_notes(
    base: Path, chat: Chat, *, has_turns: bool, threads: int, progress: Progress
) -> list[Problem]:
    """Return X844 as a warning for few texts of the corpus that llama.cpp reads otherwise; raise it for more.

    Raises:
        StageError: X772 the GGUF converter does not know the tokenizer; X844.

    """
    from engine.runtime.gguf.convert import write_vocabulary  # brings torch
    from engine.runtime.llama.client import Request, ask_gguf

    # White space around a text shows a mark that swallows it.
    asked = [chat.prompt([{"role": "user", "content": f" {one} "}]) for one in WORDS if has_turns]
    texts = [*corpus(), *asked]
    with working_folder() as folder:
        write_vocabulary(base, folder / FILE)
        # What a converter of the user's own writes has no tensor, and is taken for a damaged file.
        if own_llama_cpp() is not None:
            return []
        read = ask_gguf(
            folder / FILE,
            Request(read=texts),
            threads=threads,
            workdir=folder,
            progress=progress,
        ).read
    pairs = zip(texts, chat.all_token_ids(texts), read, strict=True)
    different = [place for place, (_, one, two) in enumerate(pairs) if one != two]
    if not different:
        return []
    of_corpus = sum(place < len(corpus()) for place in different)
    is_rare = len(different) == of_corpus and of_corpus <= (1 - CORPUS) * len(corpus())
    problem = Problem(
        code="X844",
        message=f"llama.cpp would read {len(different)} of {len(texts)} texts as other tokens than the model's own"
        f" tokenizer does, such as {texts[different[0]][:60]!r}",
        path="export.formats",
        hint=HINT,
        severity=Severity.WARNING if is_rare else Severity.ERROR,
    )
    if not is_rare:
        raise StageError(problem)
    return [problem]
