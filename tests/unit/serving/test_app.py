"""What a request gets, by a model that needs no weights: nothing of it is ignored that it could rely on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("starlette")  # of the extra `serve`

from starlette.testclient import TestClient

from engine.recipe.model import Task
from engine.runtime.llama.client import Answer
from engine.runtime.rendering.task_file import TaskFile
from engine.serving.app import Limits, Service
from engine.serving.asker import ModelReply, ServedModel
from support.tasks import task

LABELS = task("classification", labels=("a", "b"), input="{title}: {text}")
FREE = task("generation")
OBJECTS = task("extraction", schema={"type": "object"})
USER = {"role": "user", "content": "one"}


class Asked(ServedModel):
    """Answers every text alike, and counts them."""

    __slots__ = ("answer", "texts")

    def __init__(
        self, of: Task, answer: str, *, ended: bool = True, asks_partly_blank: bool = False
    ) -> None:
        file = TaskFile(
            task=of, before="", after="", strips=False, answers=(), max_new_tokens=8,
            asks_partly_blank=asks_partly_blank,
        )  # fmt: skip
        super().__init__(task=file, threads=1, most_waiting=8)
        label = answer if of.spec.is_constrained and ended else None
        self.answer = Answer(
            kind=of.kind, label=label, probability=0.9, text=answer, is_valid=True, ended=ended
        )
        self.texts: list[str] = []

    async def ask(self, texts: list[str], *, seconds: float) -> list[ModelReply]:
        del seconds
        self.texts += texts
        words = self.answer.text
        one = ModelReply(answer=self.answer, text=words, prompt_tokens=3, answer_tokens=2)
        return [one for _ in texts]


def client_of(asked: Asked, **limits: Any) -> TestClient:
    service = Service(name="tiny", asker=asked, limits=Limits(**limits))
    return TestClient(service.app(), base_url="http://localhost")


def test_a_row_with_a_blank_column_is_not_asked_as_in_predict() -> None:
    asked = Asked(LABELS, "a")
    rows = [
        {"title": "x", "text": " "},
        {"title": "x", "text": "one"},
        {"title": None, "text": "y"},
    ]

    found = client_of(asked).post("/predict", json={"rows": rows}).json()["predictions"]

    assert [one["prediction"] for one in found] == [None, "a", None]
    assert asked.texts == ["x: one"]


def test_a_row_with_a_blank_column_is_asked_where_training_had_such_rows() -> None:
    asked = Asked(LABELS, "a", asks_partly_blank=True)
    rows = [{"title": "x", "text": " "}, {"title": None, "text": ""}]

    found = client_of(asked).post("/predict", json={"rows": rows}).json()["predictions"]

    assert [one["prediction"] for one in found] == ["a", None]
    assert asked.texts == ["x:  "]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "one", "texts": ["two"]},
        {"text": "one", "abstain_below": 0.99},
        {"rows": [{"title": "x", "text": "y"}], "texts": ["two"]},
        {},
    ],
)
def test_what_stands_beside_the_texts_is_refused_and_not_ignored(body: Any) -> None:
    asked = Asked(LABELS, "a")

    response = client_of(asked).post("/predict", json=body)

    assert (response.status_code, asked.texts) == (400, [])


@pytest.mark.parametrize(
    ("more", "of", "status"),
    [
        ({"response_format": {"type": "json_object"}}, LABELS, 400),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, OBJECTS, 400),
        ({"response_format": {"type": "json_object"}}, OBJECTS, 200),
        ({"response_format": {"type": "text"}}, LABELS, 200),
        ({"response_format": None, "logprobs": False}, LABELS, 200),
        ({"logprobs": True}, LABELS, 400),
        ({"temperature": 2.0, "max_tokens": 1}, LABELS, 200),
    ],
)
def test_a_form_that_the_answer_does_not_have_is_refused(
    more: dict[str, Any], of: Task, status: int
) -> None:
    answer = "{}" if of is OBJECTS else "a"
    body = {"messages": [USER], **more}

    assert (
        client_of(Asked(of, answer)).post("/v1/chat/completions", json=body).status_code == status
    )


def test_a_text_that_was_cut_off_is_not_one_that_ended() -> None:
    reasons = [
        client_of(Asked(FREE, "and so", ended=ended))
        .post("/v1/chat/completions", json={"messages": [USER]})
        .json()["choices"][0]["finish_reason"]
        for ended in (True, False)
    ]

    assert reasons == ["stop", "length"]


def test_a_stream_ends_with_its_usage_where_that_is_asked_for() -> None:
    body = {"messages": [USER], "stream": True, "stream_options": {"include_usage": True}}

    text = client_of(Asked(LABELS, "a")).post("/v1/chat/completions", json=body).text

    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    usage = json.loads(events[-2])
    assert events[-1] == "[DONE]"
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert (usage["choices"], usage["usage"]) == ([], counts)
    assert json.loads(events[-3])["choices"][0]["finish_reason"] == "stop"


def test_more_texts_than_may_wait_are_refused_for_good() -> None:
    response = client_of(Asked(LABELS, "a"), texts=2).post("/predict", json={"texts": ["x"] * 3})

    assert (response.status_code, "1 to 2 texts" in response.text) == (400, True)


# Connections to a server that say nothing, and too many of them.
uvicorn = pytest.importorskip("uvicorn", reason="the extra `serve`")

from engine.serving import app  # noqa: E402

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
Talk = Callable[[int], Awaitable[Any]]


async def _answer(_: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def _served(talk: Talk) -> Any:
    """What comes of a conversation with a server."""

    async def run() -> Any:
        config = uvicorn.Config(
            _answer, port=0, log_level="critical", lifespan="off", http=app.BoundedConnection
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            return await talk(server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = True
            await task

    return asyncio.run(run())


async def _answers(port: int, *parts: bytes) -> list[bytes]:
    """The first line of each answer to some bytes; empty where the connection ends instead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for part in parts:
        writer.write(part)
        try:
            found.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            found.append(b"")
    writer.close()
    return found


@pytest.mark.parametrize("parts", [(b"",), (HEAD,), (HEAD + b"\r\n", b"GET")])
def test_who_sends_no_head_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(app, "HEAD_SECONDS", 0.2)

    *before, last = _served(lambda port: _answers(port, *parts))

    assert before == [b"HTTP/1.1 204 No Content"] * len(before)
    assert last == b""


def test_one_connection_too_many_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MOST", 1)

    async def talk(port: int) -> list[list[bytes]]:
        _, held = await asyncio.open_connection("127.0.0.1", port)
        refused = await _answers(port, HEAD + b"\r\n")
        held.close()
        await held.wait_closed()
        await asyncio.sleep(0.05)
        return [refused, await _answers(port, HEAD + b"\r\n")]

    assert _served(talk) == [[b""], [b"HTTP/1.1 204 No Content"]]
