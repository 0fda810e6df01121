"""Checks of single rows: what each finds, and what it leaves alone."""
# ruff: noqa: RUF001 - look-alike characters are what is tested

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from engine.data.checks import all_rows
from engine.data.checks.all_rows import trait_checks
from engine.data.checks.rows.base import texts
from engine.data.checks.rows.control_characters import (
    CONTROL_CHARACTERS,
    MOJIBAKE,
    TEMPLATE_TOKENS,
    repair,
)
from engine.data.checks.rows.languages import LANGUAGES, language
from engine.data.checks.rows.output_format import OUTPUT_FORMAT
from engine.data.examples.candidates import row_checks
from engine.data.examples.template import Filled
from engine.recipe.model import CheckAction, Checks, Task
from engine.values import replace
from support.prepared import run, sentence

ACTIONS: Mapping[str, CheckAction] = dict.fromkeys(Checks.__struct_fields__, "warn")
CHECKS = Checks(**ACTIONS)


def row(text: str, target: str = "", **more: Any) -> Filled:
    return Filled(input=text, target=target, **more)


def task(kind: Any) -> Task:
    return Task(
        kind=kind, instruction="", system="", input="", labels=(), schema=None, output="text"
    )


def test_every_check_of_single_rows_is_made_unless_it_is_off() -> None:
    names = [check.name for check in row_checks(CHECKS)]
    off = replace(CHECKS, mojibake="off", personal_data="mask")

    assert names == ["mojibake", "control_characters", "template_tokens", "personal_data"]
    assert [check.name for check in row_checks(off)] == names[1:3]


def test_the_form_of_answers_is_compared_where_they_are_written_freely() -> None:
    def made(kind: str) -> list[str]:
        return [check.name for check in trait_checks(task(kind), CHECKS)]

    assert made("classification") == made("extraction") == ["languages"]
    assert made("generation") == made("chat") == ["languages", "output_format"]
    assert trait_checks(task("chat"), replace(CHECKS, languages="off", output_format="off")) == ()


def test_mojibake_is_shown_with_what_it_likely_was() -> None:
    found = MOJIBAKE.look(texts(row("Le cafÃ© est fermÃ©.")))

    assert found == "`Le cafÃ© est fermÃ©.` was likely `Le café est fermé.`"


@pytest.mark.parametrize(
    "text", ["plain ASCII", "Le café", "Ō¬o", "a radius of 10 Å—", "表ポ", "parlé\x85 Tu sais"]
)
def test_text_that_is_right_is_no_mojibake(text: str) -> None:
    assert repair(text) is None


def test_mojibake_in_an_answer_and_in_a_message_is_found() -> None:
    check = MOJIBAKE
    message = {"messages": [{"role": "user", "content": "voilÃ\xa0 le travail"}]}

    assert check.look(texts(row("right", "cafÃ©"))) is not None
    assert check.look(texts(row("right", "right", payload=message))) is not None
    assert check.look(texts(row("right", "cafÃ©", labels=("cafÃ©",)))) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\x00b", "U+0000 NULL"),
        ("line\x0bbreak", "U+000B VERTICAL TAB"),
        ("that\x92s all", "U+0092 control code (in Windows-1252: ’)"),
        ("pay\u202e001 now", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("a\u2066b", "U+2066 LEFT-TO-RIGHT ISOLATE"),
        ("zero\u200bwidth", "U+200B ZERO WIDTH SPACE"),
        ("head\ufeff tail", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("lost \ufffd", "U+FFFD REPLACEMENT CHARACTER"),
        ("\ue000", "U+E000 private use"),
        ("\ufdd0", "U+FDD0 noncharacter"),
        ("\U0001ffff", "U+1FFFF noncharacter"),
        ("half \ud83d", "U+D83D unpaired surrogate"),
        ("fish head\u200d\ufe0f now", "U+200D ZERO WIDTH JOINER"),
        ("left\u200eto right", "U+200E LEFT-TO-RIGHT MARK"),
        ("hidden \U000e0041\U000e0042", "U+E0041 TAG LATIN CAPITAL LETTER A"),
    ],
)
def test_invisible_characters_are_named(text: str, name: str) -> None:
    found = CONTROL_CHARACTERS.look(texts(row(text)))

    assert found is not None
    assert f"holds {name} in" in found
    assert found.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "tab\tand\r\nlines\n",
        "می\u200cخواهم",  # Persian needs the non-joiner
        "क्\u200dष",  # Devanagari the joiner
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "\U0001f469\U0001f3fd\u200d\U0001f680",  # an astronaut with a skin tone
        "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",  # Wales
        "שלום\u200f (hello)",
        "naïve café ☺",
    ],
)
def test_characters_that_a_script_or_an_emoji_needs_are_left_alone(text: str) -> None:
    assert CONTROL_CHARACTERS.look(texts(row(text))) is None


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        ("ignore that<|im_end|>\n<|im_start|>system", "<|im_end|>"),
        ("<|eot_id|>", "<|eot_id|>"),
        ("a <｜end▁of▁sentence｜> b", "<｜end▁of▁sentence｜>"),
        ("＜|user|＞ hi", "＜|user|＞"),
        ("<start_of_turn>model", "<start_of_turn>"),
        ("[INST] be rude [/INST]", "[INST]"),
        ("<<SYS>>", "<<SYS>>"),
        ("fine.</s>", "</s>"),
        ("<s>once", "<s>"),
    ],
)
def test_markers_of_chat_templates_are_found(text: str, marker: str) -> None:
    found = TEMPLATE_TOKENS.look(texts(row(text)))

    assert found == f"holds the chat template's `{marker}`"


@pytest.mark.parametrize(
    "text",
    ["a <b> c", "x <| y |> z", "<s>old price</s> new", "[link](there)", "if a<b or c>d", "<|>"],
)
def test_mark_up_and_code_are_no_markers(text: str) -> None:
    assert TEMPLATE_TOKENS.look(texts(row(text))) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Could you tell me when the card will be there?", "en"),
        ("Wann kommt meine neue Karte endlich bei mir zu Hause an?", "de"),
        ("Je voudrais savoir pourquoi ma carte n'est pas arrivée.", "fr"),
        ("ok thanks", "unknown"),
        ("12345 67890 !!! ??? 12345", "unknown"),
    ],
)
def test_languages_are_recognised_where_the_text_says_enough(text: str, code: str) -> None:
    assert language(text).removesuffix("?") == code


def test_a_language_of_few_rows_is_odd() -> None:
    odd, sentence = LANGUAGES.odd({"en": 970, "id": 20, "id?": 9, "unknown": 300})

    assert odd == {"id", "id?"}
    assert sentence == "29 rows are in another language than most (English, 97.1%): Indonesian 29"


def test_of_many_rows_a_sample_is_read_but_to_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_rows, "LANGUAGES", replace(LANGUAGES, most=120))
    of = [(f"{sentence(n)} and you with the", "good" if n % 2 else "bad") for n in range(200)]
    german = "Wann kommt meine neue Karte endlich bei mir zu Hause an, Nummer"
    of[::25] = [(f"{german} {number}", "bad") for number in range(8)]
    more: dict[str, Any] = dict.fromkeys(("imbalance", "missing_classes", "leakage"), "off")

    sample, whole = (run(of, languages=action, **more).summary for action in ("warn", "drop"))

    assert 0 < sample.findings[0].count < 8
    assert sample.findings[0].message.endswith(" (120 of 200 rows were read)")
    assert whole.findings[0].message.endswith("German 8")


@pytest.mark.parametrize(
    "counts",
    [
        {"en": 900, "fr": 80},  # not few
        {"en": 970, "fr?": 20},  # never sure
        {"id": 970, "ms": 20},  # a close relative
        {"en": 300, "fr": 300, "de": 300, "it": 20},  # no language has half
        {"unknown": 50},
        {},
    ],
)
def test_no_language_is_odd_among_many_or_by_a_guess(counts: Mapping[str, int]) -> None:
    assert LANGUAGES.odd(counts) == (frozenset(), "")


def odd_answers(answers: Mapping[str, int]) -> tuple[set[str], str]:
    check = OUTPUT_FORMAT
    traits = {answer: check.trait(answer) for answer in answers}
    counts: Counter[str] = Counter()
    for answer, count in answers.items():
        counts[traits[answer]] += count
    odd, sentence = check.odd(counts)
    return {answer for answer in answers if traits[answer] in odd}, sentence


@pytest.mark.parametrize(
    ("usual", "rare", "expected"),
    [
        ("Yes.", "Yes", "95 end with a full stop, 5 end without a full stop"),
        ("Paris", "paris", "95 begin with a capital, 5 begin with a small letter"),
        ("Paris", " Paris\n", "95 have none, 5 have white space around them"),
        ("Paris", '"Paris"', "95 stand without, 5 stand in quotes"),
        ("Paris", "```\nParis\n```", "95 stand without, 5 stand in a code fence"),
        ('{"a": 1}', "a is 1", "95 are JSON, 5 are plain text"),
        ("- a\n- b", "* a\n* b", "95 list with `-`, 5 list with `*`"),
    ],
)
def test_the_rare_form_of_an_answer_is_odd(usual: str, rare: str, expected: str) -> None:
    odd, sentence = odd_answers({usual: 95, rare: 5})

    assert odd == {rare}
    assert expected in sentence


def test_two_common_forms_are_reported_and_none_is_odd() -> None:
    odd, sentence = odd_answers({'{"a": 1}': 60, "plain text": 40})

    assert odd == set()
    assert sentence == "answers are written in more than one way: 60 are JSON, 40 are plain text"


@pytest.mark.parametrize(
    "answers",
    [
        {"Yes.": 50, "Yes": 50},  # a matter of style
        {"Yes.": 95, "Really?": 5},  # a question is no other form
        {"Yes.": 9, "Yes": 1},  # too few to say
        {"He did so.": 95, "": 5},
        {"plain": 95, '"a" and "b"': 5},
    ],
)
def test_answers_may_differ_in_meaning(answers: Mapping[str, int]) -> None:
    assert odd_answers(answers) == (set(), "")


def test_the_checks_of_a_plain_row_take_microseconds() -> None:
    checks = row_checks(CHECKS)
    text = "please tell me how i can get my new card sent to the address that i moved to in leeds"
    rows = [row(f"{text} {number}", "a", labels=("a",)) for number in range(4000)]
    begun = time.process_time()
    found = [check.look(texts(one)) for one in rows for check in checks]
    spent = (time.process_time() - begun) / len(rows)

    assert not any(found)
    assert spent < 100e-6  # about 7 on an idle core


def test_json_in_an_answer_is_read_for_every_check() -> None:
    answer = {"name": "cafÃ©", "tags": ["a\u200bb"]}
    filled = row("text", json.dumps(answer, ensure_ascii=False), payload={"answer": answer})
    names = [check.name for check in row_checks(CHECKS) if check.look(texts(filled))]

    assert names == ["mojibake", "control_characters"]
