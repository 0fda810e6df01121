"""OpenAI's chat completions, as far as a model of one task can answer them.

Source: OpenAI's API reference, `POST /v1/chat/completions`, and the types of its Python client.
"""

import time
from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import Any, Final

COMPLETION, CHUNK = "chat.completion", "chat.completion.chunk"
REFUSED: Final = (
    *("tools", "functions", "audio", "prediction", "web_search_options"),
    *("logprobs", "top_logprobs"),
)
"""What would change the question, or asks for what is not there. Sampling parameters say nothing to a model whose
answer is the most probable one."""


type Tokens = tuple[int, int]
"""Tokens of the prompt as the model reads it, and of the answer."""


class RefusedError(ValueError):
    """A request that gets no answer but this status; the message says why and what to do."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def text_of(body: Any, *, is_json: bool = False) -> str:
    """Return the text of a request's last message, the user's; `is_json`: answers are objects, as a client may want."""
    if not isinstance(body, Mapping):
        raise RefusedError("the body is no JSON object")
    if asked := [name for name in REFUSED if body.get(name)]:
        raise RefusedError(f"`{asked[0]}` has no meaning for a model of one task: leave it out")
    if body.get("n", 1) != 1:
        raise RefusedError("there is one answer, the most probable: `n` is 1 or left out")
    wanted = body.get("response_format")
    form = wanted.get("type") if isinstance(wanted, Mapping) else None
    if wanted is not None and form != "text" and not (form == "json_object" and is_json):
        raise RefusedError(
            f"`response_format` cannot be `{form}`: an answer has the form of the task; leave it out"
        )
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RefusedError("`messages` is a list of at least one message")
    *before, last = messages
    if not isinstance(last, Mapping) or last.get("role") != "user":
        raise RefusedError("the last message is the user's: its content is what is asked about")
    if any(
        not isinstance(one, Mapping) or one.get("role") in ("user", "assistant") for one in before
    ):
        raise RefusedError(
            "each text is asked by itself: send one message of the user, without a conversation"
        )
    content = last.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [
        part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
        for part in parts
    ]
    if not all(isinstance(text, str) for text in texts):
        raise RefusedError("`content` is a text, or a list of parts of type `text`")
    return "".join(map(str, texts))


def wants_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, Mapping) and bool(options.get("include_usage"))


def completion(
    model: str, answer: str, *, fields: Mapping[str, Any], tokens: Tokens, ended: bool = True
) -> dict[str, Any]:
    """Return a whole answer; `fields` are our own, beside OpenAI's. One that has not `ended` was cut off."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer, "refusal": None},
        "finish_reason": "stop" if ended else "length",
        "logprobs": None,
    }
    return {**_head(COMPLETION, model), "choices": [choice], "usage": _usage(tokens), **fields}


def chunks(
    model: str,
    answer: str,
    *,
    fields: Mapping[str, Any],
    tokens: Tokens,
    ended: bool = True,
    usage: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield an answer as a stream would bring it; it is known whole before the first part. `usage` ends it."""
    head, end = _head(CHUNK, model), "stop" if ended else "length"
    for delta, reason in (({"role": "assistant", "content": answer}, None), ({}, end)):
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        yield {**head, "choices": [choice], **(fields if reason else {})}
    if usage:
        yield {**head, "choices": [], "usage": _usage(tokens)}


def _usage(tokens: Tokens) -> dict[str, int]:
    asked, answered = tokens
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def error(message: str, kind: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def models(name: str, since: int) -> dict[str, Any]:
    one = {"id": name, "object": "model", "created": since, "owned_by": "slm-recipe"}
    return {"object": "list", "data": [one]}


def _head(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }
