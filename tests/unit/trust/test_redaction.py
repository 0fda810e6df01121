import base64
import html
import json
from urllib.parse import quote

import pytest

from engine.trust.redaction import redacted, redacted_value, secrets_of

KEY = "sk-Secret/Key+123=4&5"


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.upper(),
        KEY.lower(),
        KEY[::-1],
        f"{KEY[:7]}\n   {KEY[7:]}",
        f"{KEY[:7]}\\n{KEY[7:]}",
        quote(KEY),
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        html.escape(KEY),
        json.dumps(KEY)[1:-1],
        KEY.replace("/", "\\/"),
        "".join(f"\\u{ord(letter):04x}" for letter in KEY),
        KEY.encode().hex(),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.b64encode(f"us:{KEY}!".encode()).decode(),
    ],
)
def test_no_form_of_a_key_is_left(form: str) -> None:
    output = redacted(f"before {form} after", [KEY])

    assert output.startswith("before ")
    assert output.endswith(" after")
    assert form not in output
    assert KEY[4:10].lower() not in output.lower()


@pytest.mark.parametrize("key", ["EMPTY", "none", "ollama", "", "test"])
def test_a_word_that_is_no_key_stays_in_answers(key: str) -> None:
    assert redacted("the label is none, EMPTY or test", [key]) == "the label is none, EMPTY or test"


def test_a_short_key_goes_where_it_stands_alone() -> None:
    assert redacted("abc12 xabc12", ["abc12"]) == "[key] xabc12"


def test_every_text_of_an_answer_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.trust.redaction._kept", {KEY})

    output = json.dumps(redacted_value({KEY: [{"a": f"Bearer {KEY}"}, 1, None, True]}))

    assert output == '{"[key]": [{"a": "Bearer [key]"}, 1, null, true]}'


def test_variables_are_secret_by_their_names() -> None:
    secret = {"MY_API_KEY": "first-value", "GH_TOKEN": "second-value", "db_password": "third-value"}

    assert secrets_of({**secret, "LANG": "a-language", "AUTH": "1"}) == tuple(secret.values())
