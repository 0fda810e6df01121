"""Tokens by the classes of characters. The counts are those of SmolLM2's tokenizer, which is not here."""

import json

import pytest

from engine.data.token_estimate import SCRIPTS, estimated_tokens, is_english
from support.paths import ROOT

COUNTED = {
    "All human beings are born free and equal in dignity and rights.": 13,
    "RECEIPT 100017 18.06.2026 14:17\nTOTAL EUR 41.35": 39,
    "card_payment_not_recognised, card_swallowed, cash_withdrawal_charge": 20,
}


ARTICLES = json.loads((ROOT / "benchmarks" / "estimates_scripts.json").read_text(encoding="utf-8"))
"""The first article of the Universal Declaration of Human Rights, by language."""
COUNTED_ARTICLES = {
    "English": 32, "German": 60, "French": 60, "Indonesian": 68,
    "Vietnamese": 157, "Greek": 162, "Russian": 116, "Hebrew": 143, "Arabic": 101,
    "Hindi": 199, "Thai": 245, "Chinese": 74, "Japanese": 151, "Korean": 192,
}  # fmt: skip


@pytest.mark.parametrize(("language", "tokens"), COUNTED_ARTICLES.items())
def test_every_script_has_its_own_number_of_tokens(language: str, tokens: int) -> None:
    text = ARTICLES[language]

    assert estimated_tokens(text, english=is_english([text])) == pytest.approx(tokens, rel=0.2)


SENTENCES = (
    ("এই সিনেমাটি খুব ভালো ছিল", 44),  # Bengali
    ("ਇਹ ਫ਼ਿਲਮ ਬਹੁਤ ਵਧੀਆ ਸੀ", 37),  # Punjabi
    ("આ ફિલ્મ ખૂબ સારી હતી", 52),  # Gujarati
    ("ଏହି ଚଳଚ୍ଚିତ୍ର ବହୁତ ଭଲ ଥିଲା", 70),  # Odia
    ("இந்த படம் மிகவும் நன்றாக இருந்தது", 57),  # Tamil
    ("ఈ సినిమా చాలా బాగుంది", 57),  # Telugu
    ("ಈ ಚಿತ್ರ ತುಂಬಾ ಚೆನ್ನಾಗಿದೆ", 66),  # Kannada
    ("ഈ സിനിമ വളരെ നല്ലതായിരുന്നു", 56),  # Malayalam
    ("මේ චිත්‍රපටය හරිම හොඳයි", 62),  # Sinhala
    ("ຮູບເງົາເລື່ອງນີ້ດີຫຼາຍ", 66),  # Lao
    ("ဒီရုပ်ရှင်က အရမ်းကောင်းတယ်", 75),  # Burmese
    ("ខ្សែភាពយន្តនេះល្អណាស់", 49),  # Khmer
    ("ይህ ፊልም በጣም ጥሩ ነበር", 39),  # Amharic
    ("གློག་བརྙན་འདི་ཡག་པོ་འདུག", 55),  # Tibetan
    ("e\u0301te\u0301 a\u0300 l'e\u0301cole", 16),
)
"""A short sentence each in scripts of which a character has from 1.9 to 3.2 tokens; and accents of their own."""


@pytest.mark.parametrize(("text", "tokens"), SENTENCES)
def test_scripts_that_a_small_vocabulary_lacks_have_bytes_for_tokens(
    text: str, tokens: int
) -> None:
    assert estimated_tokens(text) == pytest.approx(tokens, rel=0.2)


@pytest.mark.parametrize(("text", "tokens"), COUNTED.items(), ids=range(len(COUNTED)))
def test_a_text_has_about_as_many_tokens_as_the_tokenizer_counts(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == pytest.approx(tokens, rel=0.2)


def test_words_of_another_language_are_several_tokens_each() -> None:
    tweet = "Ini adalah hal yang paling membahagiakan saat biasku foto bersama"

    assert not is_english([tweet])
    assert estimated_tokens(tweet, english=False) > 1.5 * estimated_tokens(tweet)


@pytest.mark.parametrize(
    "text",
    [
        "I am still waiting on my card, what can I do if it has not arrived?",
        "Homer Spit Road, Homer, AK 99603",
        "card_arrival",
        "한국어만 있는 글입니다",
        "",
    ],
)
def test_texts_are_english_unless_their_words_say_otherwise(text: str) -> None:
    assert is_english([text])


def test_a_long_text_is_estimated_by_its_beginning() -> None:
    once = estimated_tokens("a film " * 2000)

    assert estimated_tokens("a film " * 20_000) == pytest.approx(10 * once, rel=0.01)


def test_every_character_beyond_ascii_has_a_class() -> None:
    assert [start for start, _ in SCRIPTS] == sorted(start for start, _ in SCRIPTS)
    assert estimated_tokens("\x80\U0010ffff") > 0
