"""A model that an OpenAI-compatible server serves, asked with its own name and its own key.

The key is read from the environment, sent in one header to the server that it was allowed for, and written
nowhere. Answers are held to their form where the server says that it can: vLLM by a choice of texts,
llama.cpp by a grammar, others by a JSON Schema; where it refuses all of them they are free.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import sleep
from typing import Any

from engine.errors import EnvironmentProblem, RecipeError
from engine.progress import Progress
from engine.recipe.model import Endpoint
from engine.recipe.outside import refusal
from engine.recipe.text.words import nearest
from engine.runtime.served.batch import ADAPTED, Message, Pause, Reply, ServerBatch, patiently
from engine.runtime.served.http_client import (
    PATH,
    ChatServer,
    RequestRefusedError,
    open_server,
    server_problem,
)
from engine.trust.hosts import is_never_sent
from engine.values import Value

MOST_NAMED = 5


class Form(Value):
    """What an answer may look like, in the ways that servers know."""

    schema: Mapping[str, Any] | None = None
    """JSON Schema of an answer; None for any text."""
    choices: tuple[str, ...] = ()
    """Every answer there is, where they are plain texts."""


class Served(Value):
    """What came of all rows."""

    replies: tuple[Reply, ...]
    constrained: str
    """What held answers to the form: `guided choice`, `grammar`, `json schema`; empty for nothing."""
    remarks: tuple[str, ...]
    owner: str
    """What the server says of who runs the model, such as `vllm`; empty for nothing."""


def ask_endpoint(  # noqa: PLR0913 - one request, named
    endpoint: Endpoint,
    chats: Sequence[Sequence[Message]],
    *,
    form: Form,
    max_tokens: int,
    kept: Path,
    progress: Progress,
    temperature: float = 0.0,
    seeds: Sequence[int] = (),
    pause: Pause | None = None,
) -> Served:
    """Return the answer to each chat, from the file `kept` where it was given before.

    With `seeds`, one a row, answers are drawn at a temperature; `pause` stands for waiting, in tests.
    EnvironmentProblem E727 without the key; RecipeError R307, R308 where the user has not allowed it; StageError E721
    to E726, E761, E763 by where the server is, and what it says, or does not say.
    """
    # Refused before anything runs; checked again here before rows are sent.
    if endpoint.withheld:
        raise refusal(endpoint.withheld, "RECIPE")
    with open_server(endpoint.url, read_key(endpoint)) as server:
        owner = _find_model(server, endpoint.model, pause=pause or sleep)
        way, fields = _way(owner, form)
        rows = ServerBatch(
            server=server, model=endpoint.model, fields=fields, max_tokens=max_tokens, kept=kept,
            temperature=temperature, pause=pause,
        )  # fmt: skip
        replies = rows.ask(chats, progress, seeds=seeds)
    found = [ADAPTED[name] for name in rows.adapted]
    if cut := sum(reply.cut_off for reply in replies):
        found.append(f"{cut} answers ran into the limit of tokens")
    if refused := [reply.refused for reply in replies if reply.refused]:
        were = "1 row was" if len(refused) == 1 else f"{len(refused)} rows were"
        found.append(f"{were} refused and count as wrong: {refused[0]}")
    return Served(
        replies=tuple(replies),
        constrained="" if "form" in rows.adapted else way,
        remarks=tuple(found),
        owner=owner,
    )


def read_key(endpoint: Endpoint) -> str:
    """Return the key of an endpoint, empty where it needs none. EnvironmentProblem E727, RecipeError R310."""
    if not endpoint.api_key_env:
        return ""
    if is_never_sent(endpoint.api_key_env):
        message = f"${endpoint.api_key_env} is no key of a model's server, and is sent to none"
        raise RecipeError.one("R310", message, path=PATH)
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise EnvironmentProblem.one(
            "E727",
            f"the environment variable `{endpoint.api_key_env}` is not set",
            path=PATH,
            hint=f"export {endpoint.api_key_env}=…, or delete `api_key_env` if no key is needed",
        )
    return key


def _find_model(server: ChatServer, name: str, *, pause: Pause) -> str:
    """Return who runs the model; StageError E721, E723. A server without a list is taken as it is."""
    try:
        listed = patiently(lambda: server.call("GET", "/models"), server, pause=pause, first=True)
    except RequestRefusedError:
        return ""
    found = listed.get("data") if isinstance(listed, Mapping) else None
    models = {
        str(item["id"]): str(item.get("owned_by") or "")
        for item in (found if isinstance(found, list) else ())
        if isinstance(item, Mapping) and "id" in item
    }
    # Ollama lists a model under its tag.
    known = next((one for one in (name, f"{name}:latest") if one in models), None)
    if models and known is None:
        near = nearest(name, models)
        some = ", ".join(f"`{model}`" for model in sorted(models)[:MOST_NAMED])
        hint = f"did you mean `{near}`?" if near else f"it has {some}"
        raise server_problem("E723", f"the server has no model `{name}`", hint)
    return models[known] if known else ""


def _way(owner: str, form: Form) -> tuple[str, dict[str, Any]]:
    if owner == "vllm" and form.choices:
        choice = list(form.choices)
        # The same thing under the name of newer and of older versions of vLLM.
        fields = {"structured_outputs": {"choice": choice}, "guided_choice": choice}
        return "guided choice", fields
    if owner == "llamacpp" and form.choices:
        choices = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in form.choices)
        return "grammar", {"grammar": f"root ::= {choices}"}
    if form.schema is None:
        return "", {}
    named = {"name": "answer", "schema": dict(form.schema), "strict": True}
    return "json schema", {"response_format": {"type": "json_schema", "json_schema": named}}
