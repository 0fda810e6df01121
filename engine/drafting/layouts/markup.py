"""Texts that hold marks of their own: a chat template's, a fence around JSON, an entity between tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from engine.drafting.layouts.step import NEARLY, Recognised, Row, Turned

MOST_NAMES: Final = 60
ROLES: Final = {
    "system": "system", "user": "user", "human": "user", "inst": "user", "assistant": "assistant",
    "model": "assistant", "gpt": "assistant", "bot": "assistant",
}  # fmt: skip
TEMPLATES: Final = (
    ("ChatML", re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL)),
    (
        "Llama 3",
        re.compile(
            r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n*(.*?)(?:<\|eot_id\|>|\Z)", re.DOTALL
        ),
    ),
    ("Gemma", re.compile(r"<start_of_turn>(\w+)\n(.*?)(?:<end_of_turn>|\Z)", re.DOTALL)),
    ("Zephyr", re.compile(r"<\|(system|user|assistant)\|>\n(.*?)(?:</s>|(?=<\|\w+\|>\n)|\Z)", re.DOTALL)),
    (
        "Guanaco",
        re.compile(r"###\s*(Human|Assistant|User|System)\s*:(.*?)(?=###\s*(?:Human|Assistant|User)\s*:|\Z)", re.DOTALL),
    ),
    ("Anthropic", re.compile(r"(?:\A|\n\n)(Human|Assistant):(.*?)(?=\n\n(?:Human|Assistant):|\Z)", re.DOTALL)),
)  # fmt: skip
"""(name, a turn: who and what) of the chat templates that training texts are written in."""
LLAMA: Final = re.compile(r"\[INST\](.*?)\[/INST\](.*?)(?=(?:<s>\s*)?\[INST\]|\Z)", re.DOTALL)
LLAMA_SYSTEM: Final = re.compile(r"\A\s*<<SYS>>(.*?)<</SYS>>(.*)\Z", re.DOTALL)
ALPACA: Final = re.compile(
    r"###\s*Instruction:\s*(?P<instruction>.*?)\s*(?:###\s*Input:\s*(?P<input>.*?)\s*)?###\s*(?:Response|Output|Answer):\s*"
    r"(?P<output>.*?)\s*(?:</s>|<\|endoftext\|>|<\|end_of_text\|>)?\s*\Z",
    re.DOTALL,
)
FENCE: Final = re.compile(r"\s*```(?:json)?\s*\n(\s*\{.*\}\s*)\n\s*```\s*\Z", re.DOTALL)
TAGGED: Final = re.compile(r"<([A-Za-z][\w.-]*)>([^<>]+)</\1>")
HTML: Final = re.compile(
    r"a|abbr|b|big|blockquote|br|center|code|div|em|font|h\d|i|img|li|mark|p|pre|q|s|small|span|strong|su[bp]"
    r"|table|t[dhr]|title|[uo]l|u|think"
)
TURNS: Final = ("messages", "conversations", "conversation")


def templated(rows: Sequence[Row]) -> Recognised:
    """Whole conversations in one text, as a chat template writes them for training."""
    for name in _texts(rows):
        texts = [str(row[name]) for row in rows]
        if all(ALPACA.search(text) for text in texts):
            return _of_alpaca(name), f"`{name}` holds instruction and response in one text"
        label = next((one for one, _ in _readers() if _are_dialogues(one, texts)), None)
        if label is not None and not _stands_beside(rows, name):
            return _of_template(
                name, label
            ), f"`{name}` holds conversations in the template of {label}"
    return None


def _texts(rows: Sequence[Row]) -> list[str]:
    # Two whole conversations are a pair, which `preferences` reads.
    names = [] if not rows or "chosen" in rows[0] else list(rows[0])
    return [n for n in names if all(isinstance(r.get(n), str) and r[n].strip() for r in rows)]


def _stands_beside(rows: Sequence[Row], name: str) -> bool:
    """Whether an answer or the turns stand beside the text, which then only repeats them or asks."""
    others = {str(one).lower() for one in rows[0] if one != name}
    return bool(
        others & {"messages", "conversations", "output", "completion", "response", "answer"}
    )


def _readers() -> Iterable[tuple[str, Callable[[str], list[dict[str, str]]]]]:
    yield "Llama 2 and Mistral", _llama
    for label, pattern in TEMPLATES:
        yield label, partial(_turns, pattern)


def _turns(pattern: re.Pattern[str], text: str) -> list[dict[str, str]]:
    found = [(ROLES.get(who.lower(), ""), what.strip()) for who, what in pattern.findall(text)]
    # The prompt for the next answer ends many such texts.
    return [{"role": who, "content": what} for who, what in found if what]


def _llama(text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for asked, answer in LLAMA.findall(text):
        question = asked
        if not found and (system := LLAMA_SYSTEM.match(asked)):
            found.append({"role": "system", "content": system[1].strip()})
            question = system[2]
        found.append({"role": "user", "content": question.strip()})
        found.append({"role": "assistant", "content": answer.replace("</s>", "").strip()})
    return found


def _are_dialogues(label: str, texts: Sequence[str]) -> bool:
    read = dict(_readers())[label]
    whole = sum(_is_dialogue(read(text)) for text in texts)
    return whole >= NEARLY * len(texts)


def _is_dialogue(turns: Sequence[Mapping[str, str]]) -> bool:
    roles = [turn["role"] for turn in turns]
    return "user" in roles and roles[-1] == "assistant" and all(turn["role"] for turn in turns)


def _of_template(name: str, label: str) -> Turned:
    read = dict(_readers())[label]

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        turns = read(str(row[name]))
        if _is_dialogue(turns):
            yield {**{key: value for key, value in row.items() if key != name}, "messages": turns}

    return turn


def _of_alpaca(name: str) -> Turned:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        if found := ALPACA.search(str(row[name])):
            yield {key: value or "" for key, value in found.groupdict().items()}

    return turn


def fenced(rows: Sequence[Row]) -> Recognised:
    """JSON objects between fences of Markdown: answers of turns, or of a column of texts."""
    name = next((n for n in TURNS if all(isinstance(row.get(n), list) for row in rows)), None)
    if rows and name is not None:
        key = "value" if "value" in rows[0][name][-1] else "content"
        answers = [row[name][-1].get(key) for row in rows]

        def turn(row: Row) -> Iterator[dict[str, Any]]:
            *before, last = row[name]
            yield {**row, name: [*before, {**last, key: _bare(last[key])}]}

        return (
            (turn, "its answers are JSON in fences of Markdown") if _are_fenced(answers) else None
        )
    columns = [n for n in (rows[0] if rows else ()) if _are_fenced([row.get(n) for row in rows])]

    def turn_columns(row: Row) -> Iterator[dict[str, Any]]:
        yield {**row, **{n: _bare(row.get(n)) for n in columns}}

    return (turn_columns, f"`{columns[0]}` is JSON in fences of Markdown") if columns else None


def _are_fenced(values: Sequence[object]) -> bool:
    found = sum(isinstance(value, str) and bool(FENCE.match(value)) for value in values)
    return found > 0 and found >= NEARLY * len(values)


def _bare(value: object) -> object:
    found = FENCE.match(value) if isinstance(value, str) else None
    return found[1].strip() if found else value


def inline(rows: Sequence[Row]) -> Recognised:
    """Entities between tags in the text: `to <city>Oslo</city>`."""
    for name in _texts(rows):
        found = [TAGGED.findall(str(row[name])) for row in rows]
        names = {tag for tags in found for tag, _ in tags}
        is_often = sum(map(bool, found)) >= 0.5 * len(rows)
        if not is_often or not 1 <= len(names) <= MOST_NAMES or any(map(HTML.fullmatch, names)):
            continue

        def turn(row: Row, name: str = name) -> Iterator[dict[str, Any]]:
            text, spans, end = "", [], 0
            for mark in TAGGED.finditer(whole := str(row[name])):
                text += whole[end : mark.start()]
                spans.append(
                    {"start": len(text), "end": len(text) + len(mark[2]), "label": mark[1]}
                )
                text, end = text + mark[2], mark.end()
            yield {**row, name: text + whole[end:], "spans": spans}

        return turn, f"`{name}` holds entities between tags"
    return None
