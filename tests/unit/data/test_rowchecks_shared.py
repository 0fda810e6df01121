"""The checks of single rows on real data sets: what they find, and that they do not cry wolf."""

import csv
import gzip
import json
import random
from collections import Counter

import pytest

from engine.data.checks.model_checks import find_label_marks
from engine.data.checks.rows.base import texts
from engine.data.checks.rows.control_characters import CONTROL_CHARACTERS, TEMPLATE_TOKENS, repair
from engine.data.checks.rows.languages import LANGUAGES, language
from engine.data.checks.rows.personal_data import PERSONAL_DATA, find_personal
from engine.data.examples.template import Filled
from support.paths import SHARED_DATA

pytestmark = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="shared/data is not here")


def cases(name: str) -> list[dict[str, str]]:
    text = (SHARED_DATA / "ftfy_mojibake" / f"{name}.json").read_text(encoding="utf-8")
    found: list[dict[str, str]] = json.loads(text)
    return found


def banking() -> list[tuple[str, str]]:
    with (SHARED_DATA / "banking77" / "train.csv").open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["category"]) for row in csv.DictReader(stream)]


def tweets() -> list[str]:
    path = SHARED_DATA / "indonlu_emot_id" / "train.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return [row["tweet"] for row in csv.DictReader(stream)]


def messages() -> list[str]:
    path = SHARED_DATA / "sms_spam" / "SMSSpamCollection"
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [line.rstrip("\n").split("\t", 1)[1] for line in stream]


def pidgin() -> list[str]:
    with gzip.open(
        SHARED_DATA / "naijasenti_pcm" / "train.tsv.gz", "rt", encoding="utf-8"
    ) as stream:
        return [line.split("\t")[0] for line in stream][1:]


@pytest.mark.parametrize(
    ("name", "broken", "found"),
    [("in-the-wild", 66, 65), ("synthetic", 16, 16), ("language-names", 20, 20)],
)
def test_mojibake_is_found(name: str, broken: int, found: int) -> None:
    rows = cases(name)
    wrong = [row for row in rows if row["original"] != row.get("fixed-encoding", row["fixed"])]
    flagged = [row for row in rows if repair(row["original"]) is not None]

    assert len(wrong) == broken
    assert len(flagged) == found
    assert all(row in wrong for row in flagged)


def test_text_that_only_looks_broken_is_left_alone() -> None:
    assert [row for row in cases("negative") if repair(row["original"]) is not None] == []


def test_banking_questions_hold_nothing_that_is_reported() -> None:
    checks = (CONTROL_CHARACTERS, TEMPLATE_TOKENS, PERSONAL_DATA)
    found = [
        sentence
        for text, label in banking()
        for check in checks
        if (sentence := check.look(texts(Filled(input=text, target=label, labels=(label,)))))
    ]

    assert found == []


def test_the_phone_numbers_of_spam_are_found_and_little_else() -> None:
    kinds = Counter(found.kind for text in messages() for found in find_personal(text))

    assert kinds == {"PHONE": 418, "EMAIL": 7}


def test_joiners_left_from_emoji_are_found_in_pidgin() -> None:
    check = CONTROL_CHARACTERS
    sentences = [check.look(texts(Filled(input=text, target=""))) for text in pidgin()]
    found = Counter(one.partition(" in `")[0] for one in sentences if one)

    assert found == {"holds U+200D ZERO WIDTH JOINER": 219, "holds U+2063 INVISIBLE SEPARATOR": 1}


def test_a_few_rows_of_another_language_are_found_among_many() -> None:
    draw = random.Random(5)
    main = draw.sample([text for text, _ in banking()], 1000)
    few = draw.sample(tweets(), 30)
    traits = [language(text) for text in main + few]
    odd, sentence = LANGUAGES.odd(Counter(traits))

    assert not any(trait in odd for trait in traits[:1000])
    assert sum(trait in odd for trait in traits[1000:]) >= 24
    assert "in another language than most (English" in sentence


def test_pidgin_is_not_taken_for_a_slip_of_english() -> None:
    odd, sentence = LANGUAGES.odd(Counter(map(language, pidgin())))

    assert "English" not in sentence.partition("):")[2]
    assert "en" not in odd


def test_intents_do_not_give_themselves_away() -> None:
    rows = banking()
    labels = sorted({label for _, label in rows})

    assert find_label_marks(rows, labels) == []


def test_a_planted_label_is_found_in_every_class() -> None:
    draw = random.Random(0)
    rows = [
        (f"{text} [{label}]" if draw.random() < 0.3 else text, label) for text, label in banking()
    ]
    labels = sorted({label for _, label in rows})

    assert {one.label for one in find_label_marks(rows, labels)} == set(labels)
