"""One way to turn messages into text, for training, evaluation and export alike.

The prompt is what users of the model send: the conversation with `add_generation_prompt=True`. The answer
follows it at once, whatever the template writes before past answers (Qwen3's empty `<think>` block, say).
What ends the turn is read off a conversation with a stand-in answer. A template that asks for today's date
gets a fixed one. Templates run in the sandboxed jinja environment of transformers.
"""

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from engine.errors import StageError, first_line
from engine.failures import library_errors
from engine.process.limits import TooSlowError, more_memory, processor_time
from engine.runtime.models.model_files import require_vocabulary
from engine.values import Value, replace

SECONDS: Final = 5.0
"""Processor seconds for one conversation; templates take thousandths of it."""
MEMORY: Final = 1 << 30
LONGEST: Final = 64 << 20
_FAILS: Final = (ArithmeticError, LookupError, AttributeError, ValueError, RecursionError)
"""Errors that the code of a template raises besides jinja's own."""


def within_limits(render: Callable[[], str]) -> str:
    """Return what a template writes. StageError X603 where it does not end, or writes or takes too much."""
    try:
        with processor_time(SECONDS), more_memory(MEMORY):
            text = render()
    except TooSlowError as error:
        raise _refused(f"takes more than {SECONDS:g} s for one conversation") from error
    # `'a' * 10**30` overflows before any memory is asked for.
    except (MemoryError, OverflowError) as error:
        raise _refused(f"takes more than {MEMORY >> 20:,} MiB for one conversation") from error
    except _FAILS as error:
        raise _refused(f"fails: {type(error).__name__}: {error}"[:200]) from error
    if len(text) > LONGEST:
        raise _refused(f"writes more than {LONGEST:,} characters for one conversation")
    return text


def _refused(why: str) -> StageError:
    what = f"the chat template of the base model {why}"
    hint = "take the template of the model's own repository"
    return StageError.one("X603", what, path="base_model", hint=hint)


DATE = datetime(2024, 7, 26, tzinfo=UTC)
"""The day that every template writes, in training, evaluation and every exported form.

Templates that ask for today's (Llama 3.2) would give other prompts on every day. It is the day that
Llama 3.2's own template falls back to where no clock is at hand.
"""
CALL = re.compile(r"""strftime_now\(\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\)""")
IS_DEFINED = re.compile(r"strftime_now\s+is\s+(not\s+)?defined")
CHANGING = re.compile(r"\bstrftime_now\b|\|\s*random\b|\blipsum\b")
"""Parts of a template that make its text depend on time or chance."""
TAG = re.compile(r"[<\[](\w+)[>\]]")
ANY = r"[<\[]/{}[>\]]"


def with_fixed_date(template: str) -> str:
    """Return the template with `DATE` where it asks for today's. StageError X670 where it still changes with time."""
    # Answered as transformers would, which gives every template this function.
    fixed = IS_DEFINED.sub(lambda match: "false" if match[1] else "true", template)
    fixed = CALL.sub(lambda match: json.dumps(DATE.strftime(match[1] or match[2] or "")), fixed)
    if (found := CHANGING.search(fixed)) is not None:
        what = f"the chat template writes another text at another time: it uses `{found[0]}`"
        hint = "write a fixed text in its place in chat_template.jinja of the base model"
        raise StageError.one("X670", what, path="base_model", hint=hint)
    return fixed


def left_open(opening: str, template: str) -> str:
    """Return the tag, such as `<think>`, that the `opening` of answers leaves open and the template closes; or ""."""
    for name in reversed(TAG.findall(opening)):
        closing = ANY.format(re.escape(name))
        if re.search(closing, template) and not re.search(closing, opening):
            return f"<{name}>"
    return ""


KEPT: Final = 4
"""Chats that are kept: of a base model and a merged one, with and without a need of a chat template."""
STAND_IN = "qXanswerXq"
Message = Mapping[str, Any]
"""`role` and `content`; `tool_calls`, `tool_call_id` and `name` where there are any."""


class Chat(Value):
    """A tokenizer and its chat template."""

    tokenizer: Any
    terminator: str
    """Text that ends an assistant turn, such as `<|im_end|>`."""

    def prompt(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> str:
        """Return what users send: the text with the assistant's turn opened. StageError X603."""
        return self._written(messages, tools, add_generation_prompt=True)

    def before_answer(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> str:
        """Return what the template writes before an answer that it knows. StageError X603."""
        return self.around_answer(messages, tools)[0]

    def whole(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> str:
        """Return the text of a whole conversation. StageError X603 when the template refuses."""
        return self._written(messages, tools)

    def around_answer(
        self, messages: Sequence[Message], tools: Sequence[Message] = ()
    ) -> tuple[str, str]:
        """Return what the template writes before an answer that it knows, and after it. StageError X603."""
        answered = [*messages, {"role": "assistant", "content": STAND_IN}]
        # The last one: a text of the conversation may hold the same letters.
        before, found, after = self._written(answered, tools).rpartition(STAND_IN)
        if not found:
            raise StageError.one(
                "X603", "the chat template of the base model leaves the assistant's answer out"
            )
        return before, after

    def _written(
        self,
        messages: Sequence[Message],
        tools: Sequence[Message],
        *,
        add_generation_prompt: bool = False,
    ) -> str:
        try:
            return within_limits(
                lambda: self.tokenizer.apply_chat_template(
                    [dict(message) for message in messages],
                    tools=[dict(tool) for tool in tools] or None,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                )
            )
        # A template that adds a text to nothing: TypeError.
        except (TemplateError, TypeError) as error:
            what = (
                f"the chat template of the base model refuses the conversation: {first_line(error)}"
            )
            hint = "templates without a system turn need `task.system` left out"
            raise StageError.one("X603", what, hint=hint) from error

    def left_open(self) -> str:
        """Return the tag, such as `<think>`, that every prompt leaves open; "" for none. StageError X603."""
        turns = [{"role": "user", "content": STAND_IN}]
        _, _, opening = self.prompt(turns).rpartition(STAND_IN)
        template = self.tokenizer.chat_template
        known = "".join(template.values()) if isinstance(template, dict) else template
        return left_open(opening, known)

    def token_ids(self, text: str) -> list[int]:
        """Return the tokens of `text`; special ones written in it are recognised, none added."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def all_token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, as `token_ids` gives them; many at once take a fraction of the time."""
        # Nothing is asked of the tokenizer for no texts, which some versions refuse.
        ids: list[list[int]] = (
            self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        )
        return ids

    def text(self, token_ids: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        # Cleaning up would take spaces away that the model wrote.
        decoded: str = self.tokenizer.decode(
            token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return decoded

    def stop_ids(self) -> frozenset[int]:
        """Return the tokens that end an answer: end of text, and a terminator of one token."""
        ids = self.token_ids(self.terminator)
        eos = self.tokenizer.eos_token_id
        return frozenset([*(ids if len(ids) == 1 else []), *([] if eos is None else [eos])])


def _tokenizer(model_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(model_dir, local_files_only=True, trust_remote_code=False)


def load_chat(
    model_dir: Path, *, asks: bool | None = True, load: Callable[[Path], Any] = _tokenizer
) -> Chat:
    """Return the chat of a model folder; a template is not needed where nobody `asks` (documents).

    None asks where there is a template: a model without one was refused before, unless it reads documents.

    StageError X601 without a usable tokenizer, X694 with tokens beyond reason, X602 without a chat template, X603
    when it refuses, X670 when it writes another text at another time.
    """
    require_vocabulary(model_dir)
    what = "the tokenizer of the base model cannot be loaded"
    hint = "the folder needs tokenizer.json and tokenizer_config.json"
    with library_errors("X601", what, hint=hint):
        tokenizer = load(model_dir)
        # Some settings are only used when a text is read, and a wrong one fails there.
        tokenizer("text", add_special_tokens=False)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        why = f"a {type(tokenizer).__name__} is made of several"
        raise StageError.one("X601", f"{what}: {why}", hint=hint)
    if not asks and (asks is False or not tokenizer.chat_template):
        return Chat(tokenizer=tokenizer, terminator=tokenizer.eos_token or "")
    template = tokenizer.chat_template
    # A tokenizer may have several, by name.
    texts = template if isinstance(template, dict) else {"": template or ""}
    if not all(isinstance(one, str) for one in texts.values()):
        hint = "take the tokenizer_config.json of the model's own repository"
        raise StageError.one("X601", f"{what}: its chat template is no text", hint=hint)
    fixed = {name: with_fixed_date(text) for name, text in texts.items()}
    tokenizer.chat_template = fixed if isinstance(template, dict) else fixed[""]
    return chat_of(tokenizer)


def kept_chat(model_dir: Path, *, asks: bool | None = True) -> Chat:
    """Like `load_chat`, for callers that do not change it: read once for unchanged files."""
    return _kept_chat(model_dir, asks=asks, _state=_state(model_dir))


def kept_tokenizer(model_dir: Path) -> Any:
    """Return the tokenizer of a folder as it is, for those who change nothing about it; as `kept_chat`."""
    return _kept_tokenizer(model_dir, _state=_state(model_dir))


@lru_cache(maxsize=KEPT)
def _kept_chat(model_dir: Path, *, asks: bool | None, _state: object) -> Chat:
    # A copy has a template of its own; the words are those of the kept one.
    return load_chat(model_dir, asks=asks, load=lambda folder: copy.copy(kept_tokenizer(folder)))


@lru_cache(maxsize=KEPT)
def _kept_tokenizer(model_dir: Path, *, _state: object) -> Any:
    return _tokenizer(model_dir)


def _state(model_dir: Path) -> tuple[object, ...]:
    if not model_dir.is_dir():
        return ()
    return tuple(
        (path.name, status.st_ino, status.st_mtime_ns, status.st_size)
        for path in sorted(model_dir.iterdir())
        if path.suffix != ".safetensors" and (status := path.stat())
    )


def chat_of(tokenizer: Any) -> Chat:
    """Return the chat of a tokenizer that has a template. StageError X602, X603."""
    if not tokenizer.chat_template:
        what = "the base model has no chat template, so there is no agreed way to ask it a question"
        hint = "use the instruct version of the model"
        raise StageError.one("X602", what, hint=hint)
    chat = Chat(tokenizer=tokenizer, terminator="")
    tail = chat.around_answer([{"role": "user", "content": "text"}])[1].rstrip()
    special = [token for token in getattr(tokenizer, "all_special_tokens", ()) if token]
    special += [
        str(one) for one in getattr(tokenizer, "added_tokens_decoder", {}).values() if one.special
    ]
    # A special token that the text after an answer begins with, the longest, as one may begin with another, ends the
    # turn alone. What follows it ends the conversation, as Phi-3's `<|endoftext|>` does.
    first = max((token for token in special if tail.startswith(token)), key=len, default="")
    return replace(chat, terminator=first or tail or tokenizer.eos_token or "")
