"""Personal data: what counts, what does not, and how it is masked. Every value is made up."""

import json
from typing import Any

import pytest

from engine.data.checks.rows import personal_data
from engine.data.checks.rows.base import texts
from engine.data.checks.rows.personal_data import PERSONAL_DATA, mask, masked
from engine.data.examples.template import Filled

KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n-----END RSA " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Write to jane.doe+news@mail.example.org.", "Write to [EMAIL]."),
        ("two: a@b.co, c@d.io", "two: [EMAIL], [EMAIL]"),
        ("call +49 30 901820 now", "call [PHONE] now"),
        ("call +1 (415) 555-2671", "call [PHONE]"),
        ("(415) 555-2671 or 415-555-2671", "[PHONE] or [PHONE]"),
        ("ring 07700900123", "ring [PHONE]"),
        ("My mobile is 9876543210", "My mobile is [PHONE]"),
        ("card 4111 1111 1111 1111, thanks", "card [CARD], thanks"),
        ("amex 378282246310005", "amex [CARD]"),
        ("IBAN DE89 3704 0044 0532 0130 00 PLEASE", "IBAN [IBAN] PLEASE"),
        ("GB82WEST12345698765432", "[IBAN]"),
        ("SSN 219-09-9999", "SSN [ID]"),
        ("NINO AB 12 34 56 C", "NINO [ID]"),
        ("DNI 12345678Z", "DNI [ID]"),
        ("CPF 529.982.247-25", "CPF [ID]"),
        ("11010519491231002X", "[ID]"),
        ("from 52.94.236.248 and 2001:4860:4860::8888", "from [IP] and [IP]"),
        ("key AKIA" + "IOSFODNN7EXAMPLE here", "key [SECRET] here"),
        ("ghp_" + "a1B2" * 9, "[SECRET]"),
        ("sk-" + "proj-abc123DEF456ghi789", "[SECRET]"),
        ("xoxb-" + "123456789012-abcdef", "[SECRET]"),
        ("eyJhbGciOiJI." + "eyJzdWIiOiIx." + "SflKxwRJSMeK", "[SECRET]"),
        (f"my key:\n{KEY}\n", "my key:\n[SECRET]\n"),
        ("https://bob:hunter2@host.example.org/x", "https://[PASSWORD]@host.example.org/x"),
    ],
)
def test_personal_data_is_masked(text: str, left: str) -> None:
    assert masked(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-31 at 12:30:45, or 31.01.2024 12:30",
        "£1,234,567.89 and $ 1 234 567.00",
        "version 10.20.30.40 and v1.2.3.4, section 1.2.3.4",
        "order 1234567890123, invoice 20240131-0001",
        "ISBN 978-3-16-148410-0",
        "find / -size +10000000",
        "1600 Pennsylvania Ave, Washington 20500",
        "127.0.0.1 and 192.168.0.1",
        "scp a.txt user@host.org:/tmp",
        "10000 + 2000000 = 2010000",
        "4111 1111 1111 1112",  # fails the check digit
        "666-12-3456 and 000-12-3456",  # never given out
        "sk-learn-is-a-fine-library-indeed",
        "std::vector<int>::iterator",
        "@handle and a@b",
        "timestamp 1700000000",
    ],
)
def test_numbers_that_are_nobodys_are_left_alone(text: str) -> None:
    assert masked(text) == text


def test_a_finding_never_shows_the_value_whole() -> None:
    text = "jane@example.org, 4111111111111111, https://bob:hunter2@example.org"
    found = PERSONAL_DATA.look(texts(Filled(input=text, target="")))

    assert found == (
        "holds an e-mail address: `j…@example.org`, a payment card number: `41…`,"
        " a password in an address: `…`"
    )


def test_every_text_of_a_row_is_masked_and_a_value_counts_once() -> None:
    messages = [
        {"role": "user", "content": "I am jane@example.org"},
        {"role": "assistant", "content": "Hello jane@example.org, call +49 30 901820"},
    ]
    filled = Filled(
        input=messages[0]["content"], target=messages[1]["content"], payload={"messages": messages}
    )
    clean, count = mask(filled)

    assert count == 2
    assert clean.input == "I am [EMAIL]"
    assert clean.target == "Hello [EMAIL], call [PHONE]"
    assert [message["content"] for message in clean.payload["messages"]] == [
        clean.input,
        clean.target,
    ]
    assert PERSONAL_DATA.look(texts(clean)) is None


def test_the_label_of_a_class_is_never_masked() -> None:
    label = "billing@example.org"
    clean, count = mask(Filled(input="to billing@example.org", target=label, labels=(label,)))

    assert (clean.input, clean.target, clean.labels, count) == ("to [EMAIL]", label, (label,), 1)


def test_a_masked_json_answer_is_json_still() -> None:
    answer: dict[str, Any] = {"mail": "jane@example.org", "card": 4111111111111111}
    target = json.dumps(answer, separators=(",", ":"))
    clean, _ = mask(Filled(input="x", target=target, payload={"answer": answer}))

    assert json.loads(clean.target) == clean.payload["answer"]
    assert clean.payload["answer"]["mail"] == "[EMAIL]"


def test_a_row_without_personal_data_is_the_same_row() -> None:
    filled = Filled(input="hello", target="world")

    assert mask(filled) == (filled, 0)


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (personal_data.luhn, "4111111111111111"),
        (personal_data.iban, "DE89370400440532013000"),
        (personal_data.cpf, "52998224725"),
        (personal_data.nir, "255081416802538"),
        (personal_data.verhoeff, "2363"),
    ],
)
def test_a_wrong_digit_fails_its_check(check: Any, right: str) -> None:
    wrong = [right[:-1] + digit for digit in "0123456789" if digit != right[-1]]

    assert check(right)
    assert not any(check(other) for other in wrong)
