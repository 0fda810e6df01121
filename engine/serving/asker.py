"""The model of a server: one llama.cpp process, asked what has come in meanwhile, all at once.

While the process computes, questions gather; then they go together, behind one reading of what they share. More than
`most_waiting` at a time are refused rather than kept: who waits longer than the time limit has gone away.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.errors import StageError
from engine.recipe.model import Task
from engine.recipe.prompt import answer_text
from engine.render.progress_display import SilentProgress
from engine.runs.model_forms import WeightsModel
from engine.runtime.llama.client import (
    Answer,
    HeldModel,
    Request,
    held_model,
    read_answers,
    request_for,
)
from engine.runtime.rendering.task_file import TaskFile
from engine.values import Value

BATCH: Final = 64


class OverloadedError(Exception):
    """The queue of questions is full."""


class ModelReply(Value):
    """The model's answer, and its numbers of tokens."""

    answer: Answer
    text: str
    prompt_tokens: int
    answer_tokens: int
    """Tokens of `text`, without the end of the turn."""


@dataclass(slots=True)
class _Question:
    text: str
    result: asyncio.Future[ModelReply]


@dataclass(slots=True, kw_only=True)
class ServedModel:
    """Questions in, answers out, by one process after another."""

    gguf: Path = Path()
    task: TaskFile
    threads: int
    most_waiting: int
    restarts: int = 0
    batches: int = 0
    _waiting: asyncio.Queue[_Question] = field(default_factory=asyncio.Queue)
    _process: HeldModel | None = None
    _held: ExitStack = field(default_factory=ExitStack)

    @property
    def waiting(self) -> int:
        return self._waiting.qsize()

    @property
    def is_ready(self) -> bool:
        """Whether the model is in memory: its process may have ended since it was last asked."""
        return self._process is not None and not self._process.child.has_ended()

    async def ask(self, texts: list[str], *, seconds: float) -> list[ModelReply]:
        """Return the answers to texts. OverloadedError, TimeoutError; StageError where the model fails."""
        if self.waiting + len(texts) > self.most_waiting:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        questions = [_Question(text, loop.create_future()) for text in texts]
        for one in questions:
            self._waiting.put_nowait(one)
        try:
            async with asyncio.timeout(seconds):
                return [await one.result for one in questions]
        finally:
            # who has gone away is not asked for
            for one in questions:
                one.result.cancel()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the model in memory and answer until the context is left. StageError X641 where it cannot be loaded."""
        with self._held:
            await asyncio.to_thread(self._start)
            task = asyncio.create_task(self._answer_all())
            try:
                yield
            finally:
                # the process goes first: the thread that waits for its line then ends too
                if self._process is not None:
                    self._process.child.kill()
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _start(self) -> None:
        self._process = self._held.enter_context(held_model(self.gguf, threads=self.threads))

    async def _answer_all(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            asked = [one for one in batch if not one.result.done()]
            try:
                texts = [one.text for one in asked]
                found: Any = await asyncio.to_thread(self._exchange, texts) if texts else []
            # whatever it is belongs to those who asked: the next question finds a server that answers
            except Exception as error:  # noqa: BLE001
                found = [error] * len(asked)
            for one, reply in zip(asked, found, strict=True):
                if not one.result.done():
                    failed = isinstance(reply, Exception)
                    (one.result.set_exception if failed else one.result.set_result)(reply)

    def _exchange(self, texts: list[str]) -> list[ModelReply]:
        if self._process is None:
            self.restarts += 1
            self._start()
        process = self._process
        if process is None:
            raise AssertionError(self)
        try:
            answers = process.ask(request_for(self.task, texts), SilentProgress())
            found = read_answers(self.task, answers, len(texts))
            words = [_words(self.task.task, one) for one in found]
            replies = process.ask(Request(read=words), SilentProgress()).read
        except (StageError, OSError):
            process.child.kill()
            self._process = None
            raise
        self.batches += 1
        parts = zip(found, words, answers.token_ids, replies, strict=True)
        return [
            ModelReply(answer=one, text=text, prompt_tokens=len(asked), answer_tokens=len(reply))
            for one, text, asked, reply in parts
        ]


@dataclass(slots=True, kw_only=True)
class ServedWeights(ServedModel):
    """The same with a model that transformers runs in this process: it cannot be ended while it computes."""

    model: WeightsModel
    _is_loaded: bool = False

    @property
    def is_ready(self) -> bool:
        return self._is_loaded

    def _start(self) -> None:
        # asked once, so that it is in memory and known to work before the first request
        self.model.answers(["-"], SilentProgress())
        self._is_loaded = True

    def _exchange(self, texts: list[str]) -> list[ModelReply]:
        found = self.model.answers(texts, SilentProgress())
        self.batches += 1
        words = [_words(self.task.task, one) for one in found]
        count = self.model.loaded.chat.token_ids
        return [
            ModelReply(
                answer=one,
                text=reply,
                prompt_tokens=len(count(self.task.prompt(text))),
                answer_tokens=len(count(reply)),
            )
            for one, text, reply in zip(found, texts, words, strict=True)
        ]


def _words(task: Task, answer: Answer) -> str:
    held = answer.label if task.spec.is_constrained else None
    return answer.text if held is None else answer_text(task, held)
