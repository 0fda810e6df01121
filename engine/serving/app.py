"""The routes of a served model.

    POST /predict               {"text": …}, {"texts": […]} or {"rows": [{…}]} to {"predictions": […]}
    POST /v1/chat/completions   OpenAI's, also streamed; the content of the last message is the text
    GET  /v1/models, /health, /metrics

Every answer is held to the task's form and asked as in training; nothing in a request changes the instruction.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import h11
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse as RawJSONResponse
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.data.examples.template import MissingColumnError, UnusableValueError, parse_template
from engine.errors import EngineError
from engine.files.reading import parse_json
from engine.kinds import AnswerForm
from engine.recipe.text.paths import is_text
from engine.render.styled_text import cleaned, printable
from engine.runs.predict_rows import RowAnswer
from engine.runtime.rendering.task_file import TaskFile
from engine.runtime.rendering.windows import too_long_words
from engine.serving import openai
from engine.serving.asker import ModelReply, OverloadedError, ServedModel
from engine.serving.openai import RefusedError
from engine.values import Value

HEAD_SECONDS: Final = 10.0
"""Seconds for the head of a request, also of a connection that has sent none before."""
MOST: Final = 512
"""Connections at once, each with a head of 64 KiB and a body of 1 MiB at most; files that a process opens are 1,024."""


class BoundedConnection(H11Protocol):
    """uvicorn's, which waits for the head of a request without end."""

    _silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for a head; one connection too many ends at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop()
        # Not closed, which waits until all that was written is read.
        self._silence = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._silence is not None:
            self._silence.cancel()


BAD, UNAUTHORIZED, SLOW, TOO_LARGE, WRONG_TYPE = 400, 401, 408, 413, 415
BROKEN, BUSY, LATE = 500, 503, 504
LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")
RETRY_SECONDS: Final = "1"
SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Limits(Value):
    """Limits on the size of a request and its time."""

    body_bytes: int = 1 << 20
    texts: int = 256
    characters: int = 32_768
    """Characters of a text."""
    seconds: float = 30.0


class JSONResponse(RawJSONResponse):
    """JSON with what a terminal would obey as escapes: labels and names are those of whoever made the model."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return cleaned(text).encode()


class _Metrics:
    """Metrics that Prometheus collects."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        one: Any = {"registry": self.registry}
        self.requests = Counter(
            "recipe_requests", "By route and status", ("route", "status"), **one
        )
        self.seconds = Histogram(
            "recipe_request_seconds", "Time to an answer", ("route",), buckets=SECONDS, **one
        )
        self.answers = Counter(
            "recipe_answers", "By label; `answer` where there are none", ("answer",), **one
        )
        self.waiting = Gauge("recipe_waiting", "Texts that wait to be asked", **one)
        self.restarts = Gauge("recipe_model_restarts", "Starts of llama.cpp after the first", **one)


@dataclass(slots=True, kw_only=True)
class Service:
    """A model, what it may be asked, and what is counted."""

    name: str
    asker: ServedModel
    limits: Limits = field(default_factory=Limits)
    abstain_below: float | None = None
    key: str = ""
    """The bearer token that a request needs; empty for none."""
    hosts: tuple[str, ...] = LOCAL
    """Host names that a request may use: a page in a browser could otherwise reach the server by a name of its own."""
    since: int = field(default_factory=lambda: int(time.time()))
    _metrics: _Metrics = field(default_factory=_Metrics)

    def app(self) -> Starlette:
        """Return the application; it answers while its asker is running."""
        routes = [
            Route("/predict", self._counted(self.predict), methods=["POST"]),
            Route("/v1/chat/completions", self._counted(self.complete), methods=["POST"]),
            Route("/v1/models", self._counted(self.models), methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]
        hosts = Middleware(
            TrustedHostMiddleware, allowed_hosts=list(self.hosts), www_redirect=False
        )
        return Starlette(routes=routes, middleware=[hosts])

    async def health(self, _: Request) -> Response:
        is_ready = self.asker.is_ready
        fields = {"status": "ok" if is_ready else "no model", "model": self.name}
        return JSONResponse(fields, status_code=200 if is_ready else BUSY)

    async def metrics(self, _: Request) -> Response:
        self._metrics.waiting.set(self.asker.waiting)
        self._metrics.restarts.set(self.asker.restarts)
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def models(self, request: Request) -> Response:
        self._require_key(request)
        return JSONResponse(openai.models(self.name, self.since))

    async def predict(self, request: Request) -> Response:
        texts = self._texts(await self._body(request))
        asked = [text for text in texts if text is not None]
        replies = iter(await self._ask(asked) if asked else ())
        found = [self._fields(None if text is None else next(replies)) for text in texts]
        return JSONResponse({"model": self.name, "predictions": found})

    async def complete(self, request: Request) -> Response:
        body = await self._body(request)
        task = self.asker.task.task
        is_json = task.output == "json" or task.spec.answer is AnswerForm.OBJECT
        text = openai.text_of(body, is_json=is_json)
        self._require_texts([text])
        (reply,) = await self._ask([text])
        fields = self._fields(reply)
        has_answer = fields["prediction"] is not None
        answer = reply.text if has_answer else ""
        tokens = (reply.prompt_tokens, reply.answer_tokens if has_answer else 0)
        given: Any = {"fields": fields, "tokens": tokens, "ended": reply.answer.ended}
        if body.get("stream"):
            parts = openai.chunks(self.name, answer, usage=openai.wants_usage(body), **given)
            events = (f"data: {json.dumps(one)}\n\n" for one in parts)
            return StreamingResponse([*events, "data: [DONE]\n\n"], media_type="text/event-stream")
        return JSONResponse(openai.completion(self.name, answer, **given))

    def _counted(self, answer: Any) -> Any:

        async def route(request: Request) -> Response:
            began = time.perf_counter()
            try:
                response: Response = await answer(request)
            except RefusedError as error:
                headers = {"Retry-After": RETRY_SECONDS} if error.status == BUSY else {}
                kind = "invalid_request_error" if error.status < BROKEN else "server_error"
                response = JSONResponse(
                    openai.error(str(error), kind), status_code=error.status, headers=headers
                )
            path = request.url.path
            self._metrics.requests.labels(path, str(response.status_code)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)
            return response

        return route

    async def _body(self, request: Request) -> Any:
        self._require_key(request)
        # a page in a browser sends this type only where the server allows it, and this one never does
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise RefusedError("send JSON, with `Content-Type: application/json`", WRONG_TYPE)
        found = bytearray()
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for part in request.stream():
                    found += part
                    if len(found) > self.limits.body_bytes:
                        most = f"a request has {self.limits.body_bytes:,} bytes at most"
                        raise RefusedError(most, TOO_LARGE)
        except TimeoutError as error:
            raise RefusedError(
                f"the body did not come in {self.limits.seconds:g} s", SLOW
            ) from error
        try:
            return parse_json(bytes(found))
        except ValueError as error:
            raise RefusedError(f"the body is no JSON: {error}") from error

    def _require_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.key and not hmac.compare_digest(given.encode(), self.key.encode()):
            raise RefusedError("send the server's key: `Authorization: Bearer KEY`", UNAUTHORIZED)

    def _texts(self, body: Any) -> list[str | None]:
        """Return the texts that a body of `/predict` asks about; None for a row that is not asked, as in `predict`."""
        given = body if isinstance(body, Mapping) and len(body) == 1 else {}
        texts: Any = [given["text"]] if "text" in given else given.get("texts")
        if isinstance(rows := given.get("rows"), list):
            found = [_filled(self.asker.task, row) for row in rows]
            self._require_texts([text or "-" for text in found])
            return found
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RefusedError(
                'send {"text": "…"}, {"texts": ["…"]} or {"rows": [{"column": "…"}]}, and nothing beside it'
            )
        self._require_texts(texts)
        return texts

    def _require_texts(self, texts: list[str]) -> None:
        limits = self.limits
        if not texts or len(texts) > limits.texts:
            raise RefusedError(f"one request asks about 1 to {limits.texts} texts")
        if not all(map(is_text, texts)):
            raise RefusedError("a text holds half a character: a surrogate without its other half")
        if any(not text.strip() for text in texts):
            raise RefusedError("a text is blank")
        if any(len(text) > limits.characters for text in texts):
            raise RefusedError(f"a text has {limits.characters:,} characters at most", TOO_LARGE)

    async def _ask(self, texts: list[str]) -> list[ModelReply]:
        try:
            replies = await self.asker.ask(texts, seconds=self.limits.seconds)
        except OverloadedError as error:
            raise RefusedError(
                "too many texts wait already: ask again in a moment", BUSY
            ) from error
        except TimeoutError as error:
            raise RefusedError(f"no answer within {self.limits.seconds:g} seconds", LATE) from error
        except EngineError as error:
            # its last lines may hold texts of others
            raise RefusedError(error.problems[0].message, BROKEN) from error
        except OSError as error:
            raise RefusedError(error.strerror or "the model ended", BROKEN) from error
        for number, reply in enumerate(replies, start=1):
            if length := reply.answer.too_long:
                which = f"text {number}" if len(texts) > 1 else "the text"
                raise RefusedError(f"{which} {too_long_words(length)}: shorten it", TOO_LARGE)
        return replies

    def _fields(self, reply: ModelReply | None) -> dict[str, Any]:
        """Return an answer as data, and count it; None for a row that was not asked."""
        task, bound = self.asker.task.task, self.abstain_below
        stated = reply.answer.stated if reply else None
        probability = reply.answer.probability if reply else None
        found = RowAnswer.of(task, stated, probability, abstain_below=bound)
        value = found.answer
        has_labels = task.spec.answer is AnswerForm.LABEL
        word = "abstained" if found.abstained else "none" if value is None else "answer"
        counted = printable(str(value)) if has_labels and value is not None else word
        self._metrics.answers.labels(counted).inc()
        more = {"abstained": found.abstained} if bound is not None else {}
        return {"prediction": value, "probability": probability, **more}


def _filled(task_file: TaskFile, row: Any) -> str | None:
    """Return the text that the task's template makes of a row; None for one that is not asked."""
    if not isinstance(row, Mapping):
        raise RefusedError("a row is an object of columns")
    try:
        template = parse_template(task_file.task.input)
        return template.question(row, asks_partly_blank=task_file.asks_partly_blank)
    except MissingColumnError as error:
        raise RefusedError(f"a row has no column `{error}`") from error
    except UnusableValueError as error:
        raise RefusedError(str(error)) from error
