"""Hostile cases: escapes and directions in every text that a verb shows, names that look alike, keys that come back."""

import base64
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import yaml

from engine.render.html_markup import escaped as html_text
from engine.render.markdown import code, fenced, plain, prose
from engine.trust.hosts import redacted
from support.hostile_places import project
from support.hostile_table import Ask, Case, ask
from support.hostile_victim import KEY, Victim
from support.outside_cases import FIELDS
from support.reports import report_fields

ESC: Final = "\x1b]0;x\x07\x1b[2J\x9b31m\u202e@team"
"""A title for the window, a cleared screen, a colour in one sign, a turned direction, and a mention."""
EVIL: Final = "evil\x1b[2J\u202e"
RUN: Final = ".recipe/runs/tiny/2026-11-25-120000-0123abcd"
GROUP: Final = "escapes in every text that a verb shows"


def escapes(victim: Victim) -> None:
    """Escapes in recipe, rows, names of files, task.json, report, run record, lock, bundle and git."""
    project(victim)
    rows = (victim.clone / "rows.csv").read_text("utf-8").splitlines()
    rows += [
        f'"{ESC} more {number}",{label}' for number in range(20) for label in ("positive", ESC)
    ]
    victim.write("rows.csv", "\n".join(rows) + "\n")
    fields = yaml.safe_load((victim.clone / "recipe.yaml").read_text("utf-8"))
    fields["data"]["checks"] |= {
        "unknown_labels": "drop",
        "conflicting_labels": "warn",
        "duplicates": "warn",
    }
    for name in ("recipe.yaml", "locked.yaml"):
        victim.write(name, yaml.safe_dump(fields, sort_keys=False))
    named = {**fields, "description": ESC, "waivers": [{"what": ESC, "why": ESC}]}
    named["task"] = {**fields["task"], "instruction": f"{{labels}} {ESC}", "labels": ["a", ESC]}
    escaped = json.dumps(named)
    for name in ("escapes.yaml", f"{EVIL}.yaml"):
        victim.write(name, escaped)
    victim.write("raw.yaml", f"recipe: v1\nname: {ESC}\n")
    victim.write("locked.lock.json", json.dumps({"schema": ESC, "recipe": ESC, "draw": {ESC: ESC}}))
    victim.write(f"{RUN}/report.json", json.dumps(spoiled(report_fields("rich"))))
    victim.write(f"{RUN}/report.md", f"# {ESC}\n")
    victim.write(f"{RUN}/recipe.resolved.yaml", escaped)
    record = {
        "schema": "run.v1",
        "recipe": "tiny",
        "outcome": ESC,
        "started": ESC,
        "stages": {ESC: {"key": ESC}},
        "seconds": 1.0,
    }
    victim.write(f"{RUN}/run.json", json.dumps(record))
    victim.write("x.bundle.tar", ESC * 100)
    victim.write("prices.yaml", json.dumps({"currency": ESC, ESC: ESC}))
    victim.write("task.json", json.dumps({"kind": ESC, "labels": [ESC]}))
    victim.write(f"{EVIL}.gguf", f"GGUF{ESC}")
    victim.write("base/config.json", json.dumps({"model_type": ESC, "architectures": [ESC]}))
    shutil.rmtree(victim.clone / ".git")
    subprocess.run(["git", "init", "-q"], cwd=victim.clone, check=True)
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.hooksPath=/dev/null")
    subprocess.run(["git", *who, "add", "."], cwd=victim.clone, check=True)
    subprocess.run(["git", *who, "commit", "-q", "-m", ESC], cwd=victim.clone, check=True)
    for name in ("escapes.yaml", f"{EVIL}.yaml", "recipe.yaml"):
        victim.write(name, (victim.clone / name).read_text("utf-8").replace("0.5", "0.4"))


def spoiled(value: Any) -> Any:
    """A report with escapes behind each text that has a blank in it."""
    if isinstance(value, str):
        return f"{value} {ESC}" if " " in value else value
    if isinstance(value, dict):
        return {name: spoiled(one) for name, one in value.items()}
    return [spoiled(one) for one in value] if isinstance(value, list) else value


SHOWING: Final[Mapping[str, tuple[tuple[tuple[str, ...], int], ...]]] = {
    "init": ((("rows.csv", "-o", "n.yaml"), 2), ((EVIL,), 2), (("rows.csv", "--text", EVIL), 2)),
    "import": ((("escapes.yaml",), 2), ((f"{EVIL}.yaml",), 2)),
    "validate": ((("escapes.yaml",), 2), ((f"{EVIL}.yaml",), 2), (("raw.yaml",), 2), (("escapes.yaml", "--format", "json"), 2)),
    "fmt": ((("--diff", "escapes.yaml"), 0), (("raw.yaml",), 2)),
    "pin": ((("recipe.yaml",), 0), (("escapes.yaml",), 2)),
    "data": ((("recipe.yaml", "--no-tokens"), 0), (("recipe.yaml", "--no-tokens", "--row", EVIL), 2), (("locked.yaml", "--no-tokens"), 3)),
    "synthetic": ((("recipe.yaml",), 2),),
    "plan": ((("recipe.yaml",), 0), (("locked.yaml",), 3), (("recipe.yaml", "--prices", "prices.yaml"), 2), (("recipe.yaml", "--device", EVIL), 2)),
    "trust": ((("escapes.yaml",), 2), (("--forget", f"{EVIL}.yaml"), 0), (("--list",), 0)),
    "diff": ((("recipe.yaml", f"{EVIL}.yaml"), 2), (("recipe.yaml", "--from", "HEAD"), 0), (("recipe.yaml", "--from", EVIL), 2)),
    "ci": ((("--from", "HEAD"), 2), (("--from", "HEAD", "--format", "json"), 2), (("--from", EVIL), 2)),
    "compile": ((("recipe.yaml",), 0), (("escapes.yaml",), 2)),
    "run": ((("recipe.yaml", "--until", "data"), 0), (("recipe.yaml", "--until", EVIL), 2)),
    "report": (((RUN,), 0), ((RUN, "--format", "json"), 0), ((RUN, "--format", "markdown"), 0), ((EVIL,), 2)),
    "runs": (((), 0), (("--format", "json"), 0)),
    "compare": (((RUN, "tiny"), 3),),
    "try": (((f"{EVIL}.gguf", "x"), 3), (("tiny", ESC), 3)),
    "predict": (((f"{EVIL}.gguf", "rows.csv"), 3), (("tiny", EVIL), 3)),
    "drift": ((("tiny", EVIL), 3),),
    "serve": (((f"{EVIL}.gguf", "--port", "0"), 3), (("tiny", "--key-from", EVIL), 2)),
    "challenge": ((("recipe.yaml", "--base-model", EVIL), 2),),
    "store": ((("verify",), 0), (("verify", "--format", "json"), 0)),
    "export": ((("bundle", RUN), 3), (("baseline", EVIL), 2)),
    "publish": (((RUN, "--to", "folder", "--name", "out"), 3), ((RUN, "--to", "hub", "--name", EVIL), 2), (("tiny", "--to", "hub", "--name", EVIL), 2)),
    "verify": ((("x.bundle.tar",), 1), (("x.bundle.tar", "--key", EVIL), 2)),
    "schema": (((EVIL,), 2),),
    "explain": (((EVIL,), 2),),
    "mcp": (((EVIL,), 2),),
    "doctor": (((), 0),),
}  # fmt: skip
"""Each verb with words that make it show a stranger's text, and how it ends."""


def _shown() -> list[Case]:
    return [
        Case(group=GROUP, what=f"{verb} {number}", tried=" ".join((verb, *words)), make=escapes,
             asks=(Ask(words=(verb, *words), code=code),))
        for verb, calls in SHOWING.items()
        for number, (words, code) in enumerate(calls, start=1)
    ]  # fmt: skip


def _nothing(_: Victim) -> None:
    """Nothing stands there besides."""


def _pure(group: str, what: str, tried: str, wanted: str, look: Callable[[], str]) -> Case:
    return Case(
        group=group, what=what, tried=tried, make=_nothing, look=lambda _: look(), wanted=wanted
    )


LIVE: Final[Mapping[str, str]] = {
    "a mention": "@team", "a mention of a group": "@owner/team", "a mention behind a bracket": "(@team)",
    "an issue": "#12", "an issue elsewhere": "owner/name#12", "an issue in words": "GH-12",
    "an address": "https://evil.example/x", "an address without a scheme": "www.evil.example", "mail": "me@evil.example",
    "a link": "[x](https://evil.example)", "an image": "![x](https://evil.example/x.png)", "an element": "<img src=x onerror=y>",
    "a comment": "<!-- recipe ci -->", "a heading": "\n# Accepted", "a rule": "\n---\n", "a cell": "a | b | c",
    "a fence": "```\n@team\n```", "code that ends": "`x` @team `y`", "emphasis": "**accepted** __yes__ ~~no~~",
    "an entity": "&#64;team &lt;b&gt;", "a reference": "[x][1]\n\n[1]: https://evil.example", "a footnote": "[^1]",
}  # fmt: skip
"""Texts that a host of repositories would make something of."""
_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_FENCE: Final = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$", re.DOTALL | re.MULTILINE)
_LIVE: Final = re.compile(
    r"(?<!\w)@\w|(?<![\\\w])#\d|\w#\d|\bGH-\d|https?://|\bwww\.|\w@[\w-]+\.\w", re.IGNORECASE
)
_MARKS: Final = re.compile(r"(?<!\\)[\[\]<>*_~|]|^(?:#|---)", re.MULTILINE)


def live(markdown: str) -> str:
    """What a host would make of a text, in the two steps that it takes: Markdown, then the text that came of it."""
    rest = _SPAN.sub("code", _FENCE.sub("code", markdown))
    if found := _MARKS.search(rest):
        return f"markup {found[0]}"
    text = html.unescape(re.sub(r"\\(\W)", r"\1", rest))
    found = _LIVE.search(text)
    return f"linked {found[0]}" if found else "inert"


def _markdown() -> list[Case]:
    writers: Mapping[str, Callable[[str], str]] = {
        "plain text": plain, "a sentence": prose, "code": code, "a block": lambda text: fenced(text, ""),
    }  # fmt: skip
    return [
        _pure("texts in Markdown", f"{what} in {where}", text, "inert", partial(_live, write, text))
        for what, text in LIVE.items()
        for where, write in writers.items()
        # A sentence of ours sets what stands between backticks as code.
        if not (where == "a sentence" and "`" in text)
    ]


def _live(write: Callable[[str], str], text: str) -> str:
    return live(write(text))


UNSEEN: Final[Mapping[str, str]] = {
    "a line break": "a\nb", "a line separator": "a\u2028b", "a blank that does not break": "a\u00a0b",
    "letters of tags": "a\U000e0041 b", "a zero-width blank": "a \u200bb", "a soft hyphen": "a\u00ad b",
}  # fmt: skip
"""Names that look like `a b` where they are shown as they are."""


def _names() -> list[Case]:
    def look(name: str) -> str:
        shown = code(name)
        return "distinct" if shown.isascii() and shown != code("a b") else ascii(shown)

    return [
        _pure("names in a comment", what, name, "distinct", partial(look, name))
        for what, name in UNSEEN.items()
    ]


def _keys() -> list[Case]:
    content = KEY.encode()
    forms = {
        "as it is": KEY, "in capitals": KEY.upper(), "in base64": base64.b64encode(content).decode(),
        "in base64, further back": base64.b64encode(b"x" + content).decode(),
        "in base64 of a login": base64.b64encode(b"user:" + content).decode(), "in hexadecimal": content.hex(),
        "in a URL": quote(KEY, safe=""), "percent by percent": "".join(f"%{one:02x}" for one in content),
        "in HTML": html.escape(KEY), "entity by entity": "".join(f"&#{one};" for one in content),
        "in JSON": json.dumps(KEY), "escape by escape": "".join(f"\\u{one:04x}" for one in content),
        "over two lines": f"{KEY[:9]}\n{KEY[9:]}", "with blanks": " ".join(KEY), "backwards": KEY[::-1],
        "in a header": f"Authorization: Bearer {KEY}", "twice": KEY + KEY,
    }  # fmt: skip

    def look(form: str) -> str:
        found = redacted(f"before {form} after", [KEY])
        return "taken out" if "[key]" in found and form not in found else found

    group = "a key that a server sends back"
    return [
        _pure(group, what, form, "taken out", partial(look, form)) for what, form in forms.items()
    ]


TWINS: Final[Mapping[str, tuple[list[str], str]]] = {
    "labels of two alphabets": (["bug", "b\u0443g".replace("\u0443", "u\u200b")], "R210"),
    "a Cyrillic letter": (["paypal", "p\u0430ypal"], "R210"),
    "a Greek letter": (["Bravo", "\u0392ravo"], "R210"),
    "full width": (["bug", "\uff42\uff55\uff47"], "R210"),
    "a zero-width blank": (["bug", "bu\u200bg"], "R210"),
    "a soft hyphen": (["bug", "bu\u00adg"], "R210"),
    "a variation selector": (["bug", "bug\ufe0e"], "R210"),
    "two dashes": (["a-b", "a\u2013b"], "R210"),
    "a blank of another width": (["a b", "a\u00a0b"], "R210"),
    "a filler": (["bug", "bug\u3164"], "R210"),
    "a ligature": (["fine", "\ufb01ne"], "R210"),
    "a turned direction": (["bug", "\u202eguf"], "R415"),
    "an isolate": (["bug", "a\u2066b"], "R415"),
    "an escape": (["bug", "a\x1b[31mb"], "R415"),
    "a bell": (["bug", "a\x07b"], "R415"),
    "a zero byte": (["bug", "a\x00b"], "R415"),
    "a code of eight bits": (["bug", "a\x9b31mb"], "R415"),
    "a line break": (["bug", "a\nb"], "R211"),
}


def _twins() -> list[Case]:
    found = []
    for what, (labels, rule) in TWINS.items():

        def make(victim: Victim, labels: list[str] = labels) -> None:
            task = {**FIELDS["task"], "instruction": "{labels}?", "labels": labels}
            # JSON, so that each character is written as an escape.
            victim.write("recipe.yaml", json.dumps({**FIELDS, "task": task}))

        found.append(
            Case(group="names that look alike or hide something", what=what, tried=json.dumps(labels),
                 make=make, asks=(ask("validate recipe.yaml", 2, rule),))
        )  # fmt: skip
    for what, label in (
        ("alone", "bu\u200bg"),
        ("a filler", "\u3164x"),
        ("a joiner at the end", "bug\u200d"),
    ):
        found.append(
            Case(group="names that look alike or hide something", what=f"a character that nobody sees, {what}",
                 tried=json.dumps([label]), asks=(ask("validate recipe.yaml", 0, "R416"),),
                 make=lambda victim, label=label: victim.write(  # type: ignore[misc]
                     "recipe.yaml", json.dumps({**FIELDS, "task": {**FIELDS["task"], "instruction": "{labels}?", "labels": ["a", label]}})
                 ))
        )  # fmt: skip
    return found


def _html() -> list[Case]:
    texts = {"an element": "<script>x</script>", "an attribute": '" onload="x', "a comment": "--><b>", "an escape": ESC,
             "a style that ends": "</style><b>", "an entity": "&lt;b&gt;"}  # fmt: skip

    def look(text: str) -> str:
        found = html_text(text)
        return (
            "shown as text"
            if not re.search(r'[<>"\x1b\u202e\x9b]', found)
            and (html.unescape(found) == text or text == ESC)
            else found
        )

    group = "texts in the page of a report"
    return [
        _pure(group, what, text, "shown as text", partial(look, text))
        for what, text in texts.items()
    ]


CASES: Final = (*_shown(), *_twins(), *_markdown(), *_names(), *_html(), *_keys())
