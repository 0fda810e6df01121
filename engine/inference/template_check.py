"""Reported before training: a chat template, or a Modelfile made of it, that could never ask as training does."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import Problem, StageError
from engine.exporters.ollama import go_template, render
from engine.files.reading import parse_json, read_json
from engine.recipe.validation.schema import schema_text
from engine.runtime.models.model_files import base_problem, read_settings

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

PRINTABLE: Final = [chr(code) for code in range(32, 127)]
BETWEEN: Final = (" ", "  ", "\n", "\t", "12", "345", "6789")
MIXED: Final = 900


@cache
def known_texts() -> Mapping[str, list[str]]:
    """Return words, scripts, pictures, marks, code and numbers as users write them."""
    found: Mapping[str, list[str]] = parse_json(schema_text("all-kinds-of-texts.json"))
    return found


@cache
def corpus() -> tuple[str, ...]:
    """Return about 2,000 texts of all that users write, for comparing two tokenizers; `predict_gguf.REVISION`."""
    return tuple(dict.fromkeys(_texts()))


def _texts() -> Iterator[str]:
    for one in PRINTABLE:
        yield from (one, f" {one}", one * 3, f"a{one}b", f"a {one} b", f"1{one}2")
    for length in range(1, 17):
        yield from ("7" * length, "1234567890"[:length] * 2)
        yield from (f"a{' ' * length}b", " " * length, f"{' ' * length}x")
        yield from ("\n" * length, f"a{chr(10) * length}b", "\t" * length)
        yield from (f"x{chr(9) * length}y", f"{' \n' * length}z")
    known = known_texts()
    yield from known["numbers"]
    written = [one for kind in ("words", "scripts", "pictures", "marks") for one in known[kind]]
    for one in written:
        yield from (one, f" {one}", f"{one}{one}", f"x{one}1", f"{one}.\n", f"{one} {one}")
    yield from (*known["code"], *(f"  {one}" for one in known["code"]))
    draw = random.Random(20)  # noqa: S311 - texts, no secrets
    parts = (*PRINTABLE, *written, *BETWEEN)
    for _ in range(MIXED):
        between = draw.choice(("", " ", " ", "\n"))
        yield between.join(draw.choice(parts) for _ in range(draw.randint(2, 9)))


FILE: Final = "tokenizer.json"
ANSWERS: Final = 1000
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
        yield _bad_tokenizer(why)
        return
    words = chat.tokenizer.get_vocab()
    if len(set(words.values())) < len(words):
        yield _bad_tokenizer("gives two tokens the same number")
    for text in PLAIN:
        ids = chat.token_ids(text)
        marked = chat.tokenizer(text)["input_ids"]
        behind = marked[len(marked) - marked[::-1].index(ids[-1]) :] if ids[-1] in marked else []
        if behind:
            yield _bad_tokenizer(
                f"writes {chat.tokenizer.decode(behind)!r} behind every text: programs that let it do so ask after"
                " an end",
                warns=True,
            )
            break
    every = [*islice(dict.fromkeys(answers), ANSWERS)]
    lost = [(text, back) for text in every if (back := _back(chat, text)) != text.strip()]
    if lost:
        text, back = lost[0]
        why = f"does not give {len(lost)} of {len(every)} answers back: {text[:40]!r} becomes {back[:40]!r}"
        yield _bad_tokenizer(why, warns=not are_labels and len(lost) <= MOST_LOST * len(every))
        return
    for text in PLAIN:
        if (back := _back(chat, text)) != text:
            yield _bad_tokenizer(f"does not give texts back: {text!r} becomes {back!r}", warns=True)
            return


def _back(chat: Chat, text: str) -> str:
    found = chat.tokenizer.decode(chat.token_ids(text), clean_up_tokenization_spaces=False)
    return str(found).strip()


def _bad_tokenizer(why: str, *, warns: bool = False) -> Problem:
    return base_problem("X841", f"the tokenizer of the base model {why}", HINT, warns=warns)


CLOSED = re.compile(r"<(\w+)>\s*</\1>|\[(\w+)\]\s*\[/\2\]")
ROLES = ("system", "user", "assistant")
MARK: Final = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")
"""Markers that families of models write around turns."""
TWICE: Final = re.compile(rf"({MARK.pattern})\s*\1")
"""No family of models writes the same mark behind itself."""
PIPED: Final = re.compile(r"<\|[^<>|\s]{1,40}\|>")
"""Marks that are tokens in nearly all families; Zephyr and TinyLlama were trained with such text."""
BEGINNING: Final = re.compile(r"start|begin|\bbos\b", re.IGNORECASE)
ENDING: Final = re.compile(r"end|eo[st]|/", re.IGNORECASE)
ANY_TEXT: Final = (
    "".join(chr(code) for code in range(32, 127) if chr(code) not in "<>[]{}|")
    + "\n\nüß → 中文 №\n\tAnd so on, in lower and UPPER case. "
) * 16
"""A text that a row could hold: 2,000 characters that a template could escape, strip, fold or cut; no markers."""
OWN_TEMPLATE: Final = "take the template of the model's own repository"
STAND_IN: Final = "qXquestionXq"
WORD: Final = "the"
"""Which tokenizers know with the blank before it as one token."""
SHOWN: Final = 40
Turns = Sequence[Mapping[str, Any]]


def opening_problem(chat: Chat) -> Problem | None:
    """Return X671 for a template whose generation prompt is no beginning of an answer.

    As a warning for one that is not how the template begins past answers: training reads what users send, so that the
    model learns it all the same.
    """
    asked = [{"role": "user", "content": "text"}]
    prompt, written = chat.prompt(asked), chat.before_answer(asked)
    shared = prompt.rstrip()
    between = written.removeprefix(shared) if written.startswith(shared) else ""
    # Qwen3 writes an empty `<think>` block before a past answer and none where one is asked for:
    # training leaves it out, too
    missing = CLOSED.sub("", between).strip()
    edit = "in chat_template.jinja of the base model"
    if tag := chat.left_open():
        what = f"opens every answer with `{tag}`, which the answers of the data do not close"
        hint = f"take `{tag}` out of the generation prompt {edit}, or use a base model without it"
    elif missing:
        what = f"writes {missing!r} before an answer, and leaves it out where one is asked for"
        text = repr(between.removeprefix(prompt.removeprefix(shared)))
        hint = (
            f"add `{{% if add_generation_prompt %}}{{{{ {text} }}}}{{% endif %}}` at the end {edit}"
        )
    else:
        # White space and blocks that hold nothing say nothing of how a turn begins.
        past, now = ("".join(CLOSED.sub("", text).split()) for text in (written, prompt))
        hint = f"make both the same {edit}"
        if not past.startswith(now):
            what = f"opens an answer with {prompt[-SHOWN:]!r}, and writes past answers behind {written[-SHOWN:]!r}"
        elif blank := prompt[len(prompt.rstrip(" \t")) :]:
            # Mistral and Llama 2 write a blank before past answers alone; no family of models does the reverse.
            joined = chat.token_ids(f"{prompt}{WORD}")
            if written.startswith(prompt) and joined == chat.token_ids(prompt) + chat.token_ids(
                WORD
            ):
                return None
            what = f"opens an answer with {prompt[-SHOWN:]!r}: behind the {blank!r} at its end an answer begins with"
            what += " another token than in a text that is read as a whole"
            hint = f"take the blank out of the opening {edit}"
        else:
            return None
    is_other = not tag and not missing
    return base_problem("X671", f"the chat template {what}", hint, warns=is_other)


def lost_text_problem(chat: Chat, asked: Iterable[Turns]) -> Problem | None:
    """Return X839 for a template that leaves out or changes texts: those of the turns given, or any others."""
    roles = set[tuple[str, ...]]()
    for turns in asked:
        if not is_plain(turns):
            continue
        tried = [turns]
        if (those := tuple(turn["role"] for turn in turns)) not in roles:
            roles.add(those)
            # No text is a part of another: none may be written more than once.
            tried.append(
                [{**turn, "content": f"turn {n}. {ANY_TEXT}"} for n, turn in enumerate(turns, 1)]
            )
        for one in tried:
            if not _is_taken(chat, one):
                continue
            prompt, texts = chat.prompt(one), [turn["content"].strip() for turn in one]
            for turn, text in zip(one, texts, strict=True):
                found, wanted = prompt.count(text), texts.count(text)
                if found == wanted or (one is turns and found > wanted):
                    continue
                return base_problem(
                    "X839",
                    f"the chat template does not write once, and as it stands, what the {turn['role']} says,"
                    f" such as {text[:SHOWN]!r}",
                    "take the template of the model's own repository, which passes every text on;"
                    " of one without a system turn, move `task.system` into `task.instruction`",
                )
    return None


def turn_problem(chat: Chat) -> Problem | None:
    """Return X817, a warning, for a template that marks the turns of users otherwise than those of the model.

    Families that begin turns by a mark for each role end those of the model alone (OLMo 2, DeepSeek).
    """
    texts = (STAND_IN, "qXansweredXq", "qXfurtherXq")
    roles = ("user", "assistant", "user")
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    if not _is_taken(chat, turns):
        return None
    written = chat.prompt(turns)
    parts = re.split("|".join(texts), written)
    if len(parts) != len(texts) + 1:
        return None  # X839 says so
    before, _, answered, opening = parts
    # What ends an answer, what begins a question; and the same between a question and its answer.
    (ending, *beginning), between = MARK.findall(answered) or [""], MARK.findall(opening)
    if twice := TWICE.search(written):
        what = f"writes `{twice[1]}` twice in a row"
    # Cohere ends answers by two marks, and questions by the second.
    elif between and beginning[:1] == between[:1] and not ENDING.search(between[0]):
        what = f"does not write `{ending}` behind a question, as it does behind an answer"
    elif not beginning and len(between) > 1 and between[0] == ending:
        what = f"does not write `{between[1]}` before a question, as it does before an answer"
    elif opening.strip() and opening.strip() in before:
        what = "writes an answer of its own before the first question"
    else:
        return None
    return base_problem("X817", f"the chat template {what}", OWN_TEMPLATE, warns=True)


def two_templates(folder: Path) -> Problem | None:
    """Return X840 as a warning where tokenizer_config.json holds another template than chat_template.jinja."""
    file, settings = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if not (file.is_file() and settings.is_file()):
        return None
    other = read_settings(settings).get("chat_template")
    if not isinstance(other, str) or other == file.read_text(encoding="utf-8"):
        return None
    what = "tokenizer_config.json holds another chat template than chat_template.jinja, and that one is used"
    hint = "take `chat_template` out of tokenizer_config.json, or put the right one into chat_template.jinja"
    return base_problem("X840", what, hint, warns=True)


def mark_problems(chat: Chat, known: Mapping[str, int] | None) -> Iterator[Problem]:
    """Yield X840 for marks of the template that are no tokens: it is of another family than the tokenizer.

    `known` are the tokens of tokenizer.json. Where only marks that begin turns are text, it is a warning: some models
    were trained so.
    """
    around = chat.around_answer([{"role": "user", "content": STAND_IN}])
    written = around[0].replace(STAND_IN, "\n")
    marks = [*dict.fromkeys(PIPED.findall(written))]
    ending = [chat.terminator] if MARK.fullmatch(chat.terminator) else []
    hint = "take chat template and tokenizer of the same revision of the same model"
    for mark in dict.fromkeys([*ending, *marks]):
        ids = chat.token_ids(mark)
        if len(ids) == 1:
            yield from _beside_words(chat, mark, ids[0], hint)
        if len(ids) > 1:
            what = f"`{mark}` of the chat template is no token: the tokenizer reads it as {len(ids)} of them"
        elif known is not None and known.get(mark) != ids[0]:
            what = (
                f"`{mark}` of the chat template is no token of tokenizer.json: a setting beside it adds it as token"
                f" {ids[0]}, which no weight was trained for"
            )
        else:
            continue
        yield base_problem("X840", what, hint, warns=len(ids) > 1 and mark not in ending)


def _beside_words(chat: Chat, mark: str, token: int, hint: str) -> Iterator[Problem]:
    """Yield X840 for a mark that is text beside a word; as a warning X841 for one that takes a space away."""
    if token not in chat.token_ids(f"word{mark}word"):
        what = f"`{mark}` of the chat template is read as ordinary text beside a word"
        what += ": it is marked `single_word` or `normalized` in tokenizer.json"
        yield base_problem("X840", what, hint)
    elif chat.token_ids("word ") != chat.token_ids("word") and (
        chat.token_ids(f"word {mark}") == chat.token_ids(f"word{mark}")
    ):
        what = f"the tokenizer of the base model takes white space before `{mark}` away (`lstrip` in tokenizer.json)"
        yield base_problem("X841", f"{what}, which not every program does", hint, warns=True)


def exchanged_marks(chat: Chat) -> Problem | None:
    """Return X840 for a template that ends turns with what begins them, or begins them with what ends texts."""
    eos, bos = chat.tokenizer.eos_token, chat.tokenizer.bos_token
    ending = chat.terminator
    if not eos or ending == eos or not MARK.fullmatch(ending):
        return None
    before, _, _ = chat.prompt([{"role": "user", "content": STAND_IN}]).partition(STAND_IN)
    if ending == bos or BEGINNING.search(ending):
        what = f"ends turns with `{ending}`, which begins texts or turns"
    elif eos in before and eos != bos:
        what = f"begins turns with `{eos}`, which ends texts, and ends them with `{ending}`"
    else:
        return None
    return base_problem(
        "X840", f"the chat template {what}: its marks are exchanged", OWN_TEMPLATE, warns=False
    )


def modelfile_problems(chat: Chat, rows: Iterable[tuple[str, Turns]]) -> Iterator[Problem]:
    """Yield X651 or X672 where Ollama would ask otherwise than training; `rows` are places and turns."""
    try:
        template = go_template(chat)
    except StageError as error:
        yield from error.problems
        return
    asked = [(place, turns) for place, turns in rows if is_plain(turns) and _is_taken(chat, turns)]
    other = [place for place, turns in asked if render(template, turns) != chat.prompt(turns)]
    if other:
        yield Problem(
            code="X672",
            message=f"a Modelfile would ask {len(other)} of {len(asked)} rows in other words than the chat"
            f" template does, first {other[0]}",
            path="export.formats",
            hint="leave `ollama` out of `export.formats`, or take white space off both ends of the texts:"
            " the chat template does, and a Modelfile cannot",
        )


def _is_taken(chat: Chat, turns: Turns) -> bool:
    """Tell whether the chat template takes the turns; rendering names the row where it does not."""
    try:
        chat.prompt(turns)
    except StageError:
        return False
    return True


def is_plain(turns: Turns) -> bool:
    """Tell whether turns are texts of roles that a Modelfile has a form for."""
    return all(
        turn["role"] in ROLES
        and isinstance(turn.get("content"), str)
        and not turn.get("tool_calls")
        for turn in turns
    )
