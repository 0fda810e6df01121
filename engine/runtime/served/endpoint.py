"""A model that an OpenAI-compatible server serves, asked with its own name and its own key.

The key is read from the environment, sent in one header to the server that it was allowed for, and written
nowhere. Answers are held to their form where the server says that it can: vLLM by a choice of texts,
llama.cpp by a grammar, others by a JSON Schema; where it refuses all of them they are free.

Rows are asked a few at a time, and every answer is kept as it comes. What the server takes of a request is found out
with the first row, so that all rows are asked alike. A row that it refuses alone stays without an answer; a busy server
is asked again, later and later.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from time import sleep
from typing import Any

from engine.errors import EnvironmentProblem, RecipeError, StageError
from engine.files.reading import open_regular, parse_json
from engine.progress import Progress
from engine.recipe.model import Endpoint
from engine.recipe.outside import refusal
from engine.recipe.text.words import nearest
from engine.runtime.served.http_client import (
    NOT_FOUND,
    PATH,
    ChatServer,
    RequestRefusedError,
    UnansweredError,
    open_server,
    server_problem,
)
from engine.store.store import storage_problem
from engine.trust.hosts import is_never_sent, redacted_value
from engine.values import Value, to_json

MOST_NAMED = 5
AT_ONCE = 4
ATTEMPTS = 6
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the second attempt, doubled for each one after; and at most."""
REPORT_SECONDS = 0.2
MOST_REFUSED = 0.1
"""Share of the rows that a server may refuse, each counted as a wrong answer."""
ADAPTED: Mapping[str, str] = {
    "max_tokens": "`max_completion_tokens` stands for `max_tokens`, which the server refuses",
    "temperature": "the server refuses `temperature`, so answers may vary",
    "seed": "the server refuses `seed`, so answers may vary",
    "form": "answers are not constrained, which the server refuses",
}
"""Parameters that a server may refuse, and the resulting remark on its answers."""
THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
BASE = "it usually ends with /v1"

Chat = Sequence[Mapping[str, Any]]
Pause = Callable[[float], object]
_Row = tuple[Chat, int | None]


class Form(Value):
    """The form of an answer, in the ways that servers know."""

    schema: Mapping[str, Any] | None = None
    """JSON Schema of an answer; None for any text."""
    choices: tuple[str, ...] = ()
    """Every answer there is, where they are plain texts."""


class Reply(Value):
    """The server's reply to one row."""

    asked: str
    text: str
    """Empty where it answered nothing, or refused this row alone."""
    input_tokens: int | None = None
    """None where the server does not count."""
    output_tokens: int | None = None
    cut_off: bool = False
    """It ran into the limit of tokens."""
    refused: str = ""


class Served(Value):
    """The answers to all rows."""

    replies: tuple[Reply, ...]
    constrained: str
    """How the server constrained answers: `guided choice`, `grammar`, `json schema`; empty for not at all."""
    remarks: tuple[str, ...]
    owner: str
    """The server's name for who runs the model, such as `vllm`; empty for none."""


def ask_endpoint(  # noqa: PLR0913 - one request, named
    endpoint: Endpoint,
    chats: Sequence[Chat],
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
        rows = _Batch(
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
        what = f"the environment variable `{endpoint.api_key_env}` is not set"
        hint = f"export {endpoint.api_key_env}=…, or delete `api_key_env` if no key is needed"
        raise EnvironmentProblem.one("E727", what, path=PATH, hint=hint)
    return key


def _patiently(
    call: Callable[[], Any], server: ChatServer, *, pause: Pause, first: bool = False
) -> Any:
    """Return what `call` returns, trying again while the server is busy.

    `first`: whether it is there at all is not known yet, and one attempt shows it. StageError E721
    for a server that is not there, E725 for one that does not answer.
    """
    seconds, reason = FIRST_PAUSE, ""
    for attempt in range(ATTEMPTS):
        if attempt and pause(seconds) is True:
            break
        try:
            return call()
        except UnansweredError as error:
            reason = str(error)
            if first and not error.reached:
                hint = f"start the server, or correct `endpoint`; {BASE}"
                what = f"`{server.url}` cannot be reached: {reason}"
                raise server_problem("E721", what, hint) from None
            seconds = min(LONGEST_PAUSE, max(2 * seconds if attempt else seconds, error.after))
    hint = "run the same command again later: answers that came are kept"
    what = f"`{server.url}` did not answer in {ATTEMPTS} attempts: {reason}"
    raise server_problem("E725", what, hint)


def _find_model(server: ChatServer, name: str, *, pause: Pause) -> str:
    """Return who runs the model; StageError E721, E723. A server without a list is taken as it is."""
    try:
        listed = _patiently(lambda: server.call("GET", "/models"), server, pause=pause, first=True)
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


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Rows on their way to one server."""

    server: ChatServer
    model: str
    fields: Mapping[str, Any]
    """Fields of a request that constrain the answer, in the server's terms."""
    max_tokens: int
    kept: Path
    temperature: float
    pause: Pause | None
    """Waits for so many seconds, true to give up; for tests."""
    adapted: list[str] = field(default_factory=list)
    known: dict[str, Reply] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(
        self, chats: Sequence[Chat], progress: Progress, *, seeds: Sequence[int]
    ) -> list[Reply]:
        """Return the answers, each drawn with its own of the `seeds`. StageError E722 to E726."""
        self.known = _read_kept(self.kept)
        if not chats:
            return []
        every: Sequence[int | None] = seeds or [None] * len(chats)
        rows = list(zip(chats, every, strict=True))
        replies = [self._first(rows[0]), *self._others(rows[1:], progress)]
        refused = [reply.refused for reply in replies if reply.refused]
        # One refusal is always borne, however few the rows are.
        if len(refused) > max(1, MOST_REFUSED * len(replies)):
            raise self._unwanted(f"{len(refused)} of {len(replies)} rows: {refused[0]}")
        return replies

    def _first(self, row: _Row) -> Reply:
        """Ask a row, without what the server refuses of the request: what it names, else the form."""
        while True:
            try:
                return self._ask(row)
            except RequestRefusedError as error:
                left = [name for name in ADAPTED if name not in self.adapted]
                refused = [name for name in left if name != "form" and name in error.message]
                if "form" in left and self.fields and error.status != NOT_FOUND:
                    refused.append("form")
                if refused:
                    self.adapted.append(refused[0])
                elif error.status == NOT_FOUND and "model" in error.message.lower():
                    what = f"the server has no model `{self.model}`: {error.message}"
                    raise server_problem("E723", what) from None
                else:
                    raise self._unwanted(str(error)) from None

    def _others(self, rows: Sequence[_Row], progress: Progress) -> list[Reply]:
        places: SimpleQueue[int] = SimpleQueue()
        for place in range(len(rows)):
            places.put(place)
        found: dict[int, Reply] = {}
        failures: list[Exception] = []

        def work() -> None:
            try:
                while not self.stop.is_set():
                    place = places.get_nowait()
                    try:
                        found[place] = self._ask(rows[place])
                    except RequestRefusedError as error:
                        asked = _digest(self._body(rows[place]))
                        found[place] = Reply(asked=asked, text="", refused=str(error))
            except Empty:
                return
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
                failures.append(error)
                self.stop.set()

        # Daemons: an answer that never comes must not keep the process from ending.
        threads = [threading.Thread(target=work, daemon=True) for _ in rows[:AT_ONCE]]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(REPORT_SECONDS)
                    progress.update(len(found) + 1, len(rows) + 1, "rows")
        finally:
            self.stop.set()
        if failures:
            raise failures[0]
        return [found[place] for place in range(len(rows))]

    def _ask(self, row: _Row) -> Reply:
        body = self._body(row)
        asked = _digest(body)
        with self.lock:
            if found := self.known.get(asked):
                return found
        answer = _patiently(
            lambda: self.server.call("POST", "/chat/completions", json=body),
            self.server,
            # `wait` returns true once the batch is stopped, so no thread sleeps on through Ctrl-C.
            pause=self.pause or self.stop.wait,
        )
        try:
            choice = answer["choices"][0]
            content = choice["message"].get("content") or ""
            cut_off = choice.get("finish_reason") == "length"
            usage = answer.get("usage") or {}
            tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        except (KeyError, IndexError, TypeError, AttributeError):
            hint = f"`endpoint` must be OpenAI-compatible; {BASE}"
            what = "the server's answer is no chat completion"
            raise server_problem("E726", what, hint) from None
        read, written = (count if isinstance(count, int) else None for count in tokens)
        text = THOUGHT.sub("", content) if isinstance(content, str) else ""
        found = Reply(
            asked=asked,
            # Half a surrogate pair, which JSON can spell, is no character, and no file can hold it.
            text=text.encode("utf-8", errors="replace").decode("utf-8"),
            input_tokens=read,
            output_tokens=written,
            cut_off=cut_off,
        )
        line = json.dumps(to_json(found), ensure_ascii=False) + "\n"
        # One line at a time: two threads that write at once would spoil both.
        with self.lock:
            self.known[asked] = found
            with self.kept.open("a", encoding="utf-8", newline="\n") as file:
                file.write(line)
        return found

    def _body(self, row: _Row) -> dict[str, Any]:
        chat, seed = row
        limit = "max_completion_tokens" if "max_tokens" in self.adapted else "max_tokens"
        return {
            "model": self.model,
            "messages": [dict(turn) for turn in chat],
            limit: self.max_tokens,
            # 0 and no float, so that requests of older versions are found again
            **({} if "temperature" in self.adapted else {"temperature": self.temperature or 0}),
            **({} if seed is None or "seed" in self.adapted else {"seed": seed}),
            **({} if "form" in self.adapted else self.fields),
        }

    def _unwanted(self, what: str) -> StageError:
        hint = f"fewer shots, a longer context on the server, or another `endpoint`; {BASE}"
        message = f"`{self.server.url}` refuses what it is asked: {what}"
        return server_problem("E724", message, hint)


def _digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, ensure_ascii=False)
    # A row may hold half a surrogate pair, which JSON can spell and UTF-8 cannot.
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _read_kept(path: Path) -> dict[str, Reply]:
    """Return what was answered before; a line that was cut off when the process died is no answer."""
    try:
        # Through no link, which could lead out of the store: lines are appended to this file.
        with open_regular(path, follow=False) as stream:
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise storage_problem(error, path.parent) from error
    # The last line was cut off by the end of a process: the next one must not be glued to it.
    if text and not text.endswith("\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")
    found: dict[str, Reply] = {}
    for line in text.split("\n"):
        try:
            reply = Reply(**redacted_value(parse_json(line)))
        except (ValueError, TypeError):
            continue
        found[reply.asked] = reply
    return found
