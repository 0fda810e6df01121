"""Faults of chat templates and tokenizers, and where a run notices them; a part of `support.fault_table`."""

from collections.abc import Callable, Mapping
from typing import Any

from support.fault_seeds import noted
from support.faults_of_base_models import trained
from support.pico import CHAT_TEMPLATE
from support.seeded_faults import Fault, Seed, both, recipe, settings, template

TURN_TEXT = "message['content']"
ANSWERS = "'<|im_start|>assistant\n'"
LLAMA3 = (
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{% for message in messages %}<start_of_turn>{{ message['role'] }}\n{{ message['content'] }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>assistant\n{% endif %}"
)
STRIPPING = {
    "type": "Sequence",
    "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "NFC"}],
}
ENDS = "'<|im_end|>' + '\n'"
EXCHANGED = (
    CHAT_TEMPLATE.replace("im_start", "im_tmp")
    .replace("im_end", "im_start")
    .replace("im_tmp", "im_end")
)


def saying(text: str) -> str:
    """The usual template, with something else in the place of what a turn says."""
    return CHAT_TEMPLATE.replace(TURN_TEXT, text)


def for_users(part: str, other: str) -> str:
    """The usual template, which writes something else in the place of a part of users' turns."""
    found = f"({other} if message['role'] == 'user' else {part})"
    return CHAT_TEMPLATE.replace(part, found)


def opening(text: str) -> str:
    """The usual template with another generation prompt."""
    return CHAT_TEMPLATE.replace(ANSWERS, repr(text))


def without_token(name: str) -> Callable[[dict[str, Any]], object]:
    """Take a token out of tokenizer.json."""

    def change(found: dict[str, Any]) -> None:
        found["added_tokens"] = [one for one in found["added_tokens"] if one["content"] != name]
        found["model"]["vocab"].pop(name, None)

    return change


def swapped_bytes(found: dict[str, Any]) -> None:
    """Give two bytes each other's numbers."""
    words = found["model"]["vocab"]
    words["!"], words["a"] = words["a"], words["!"]


def with_mark(setting: str) -> Callable[[dict[str, Any]], object]:
    """Have tokenizer.json read the end of a turn in a way of its own."""

    def change(found: dict[str, Any]) -> None:
        for one in found["added_tokens"]:
            if one["content"] == "<|im_end|>":
                one[setting] = True

    return change


def decoding(found: dict[str, Any]) -> None:
    """Have the decoder write another letter."""
    replace = {"type": "Replace", "pattern": {"String": "e"}, "content": "3"}
    found["decoder"] = {"type": "Sequence", "decoders": [found["decoder"], replace]}


ENDED = {
    "type": "TemplateProcessing",
    "single": [
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "<|im_end|>", "type_id": 0}},
    ],
    "pair": [
        {"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}},
    ],
    "special_tokens": {"<|im_end|>": {"id": "<|im_end|>", "ids": [2], "tokens": ["<|im_end|>"]}},
}
"""A post-processor that writes the end of a turn behind every text."""

OF_TEXTS: Mapping[str, Fault] = {
    "F47": Fault(
        name="the template does not pass on what rows say",
        seeds={
            "the question left out": Seed(
                prepare=template(
                    saying("(message['content'] if message['role'] == 'assistant' else 'hello')")
                ),
                code="X839",
            ),
            "the question cut": Seed(
                prepare=template(
                    saying("(message['content'][:20] if loop.first else message['content'])")
                ),
                code="X839",
            ),
            "letters replaced": Seed(
                prepare=template(saying(f"{TURN_TEXT} | replace('o', '0')")), code="X839"
            ),
            "the question twice": Seed(
                prepare=template(saying(f"{TURN_TEXT} * (2 if loop.first else 1)")), code="X839"
            ),
            "no system turn": Seed(
                prepare=both(
                    recipe(task__system="You judge films."),
                    template("{% set messages = messages[1:] %}" + CHAT_TEMPLATE),
                ),
                code="X839",
            ),
        },
    ),
    "F48": Fault(
        name="template and tokenizer are of different models",
        seeds={
            "Llama 3's template on another model": Seed(prepare=template(LLAMA3), code="X840"),
            "Gemma's template on another model": Seed(prepare=template(GEMMA), code="X840"),
            "a misspelt end of the turn": Seed(
                prepare=template(CHAT_TEMPLATE.replace("im_end", "im_edn")), code="X840"
            ),
            "the end of the turn is no token of the vocabulary": Seed(
                prepare=settings("tokenizer.json", without_token("<|im_end|>")), code="X840"
            ),
            "the start of the turn is no token of the vocabulary": Seed(
                prepare=settings("tokenizer.json", without_token("<|im_start|>")), code="X840"
            ),
            "marks of turns in each other's place": Seed(prepare=template(EXCHANGED), code="X840"),
            "an end that is text beside a word": Seed(
                prepare=settings("tokenizer.json", with_mark("single_word")), code="X840"
            ),
            "an end that takes white space away": noted(
                settings("tokenizer.json", with_mark("lstrip")), "X841"
            ),
            "an opening token that the tokenizer has lost": noted(
                both(
                    template("{{ bos_token }}" + CHAT_TEMPLATE),
                    settings("tokenizer_config.json", lambda found: found.update(bos_token=None)),
                ),
                "X842",
            ),
            "two templates": noted(
                settings("tokenizer_config.json", lambda found: found.update(chat_template=GEMMA)),
                "X840",
            ),
        },
    ),
    "F49": Fault(
        name="the tokenizer does not give texts back",
        seeds={
            "merges dropped at random": Seed(
                prepare=settings(
                    "tokenizer.json", lambda found: found["model"].update(dropout=0.5)
                ),
                code="X841",
            ),
            "a decoder that writes other letters": Seed(
                prepare=settings("tokenizer.json", decoding), code="X841"
            ),
            "merges the other way round": noted(
                trained(
                    settings("tokenizer.json", lambda found: found["model"]["merges"].reverse())
                ),
                "X846",
            ),
            "an end behind every text": noted(
                settings("tokenizer.json", lambda found: found.update(post_processor=ENDED)), "X841"
            ),
            "no decoder": Seed(
                prepare=settings("tokenizer.json", lambda found: found.update(decoder=None)),
                code="X841",
            ),
            "everything in lower case": noted(
                settings(
                    "tokenizer.json", lambda found: found.update(normalizer={"type": "Lowercase"})
                ),
                "X841",
            ),
            "letters without their accents": noted(
                settings("tokenizer.json", lambda found: found.update(normalizer=STRIPPING)),
                "X841",
            ),
        },
    ),
    "F50": Fault(
        name="answers are asked for in another form than they are written",
        seeds={
            "as another role": noted(template(opening("<|im_start|>user\n")), "X671"),
            "behind the end of the turn": noted(
                template(opening("<|im_start|>assistant\n<|im_end|>\n")), "X671"
            ),
            "behind an answer": noted(
                template(opening("<|im_start|>assistant\npositive\n")), "X671"
            ),
            "behind a blank": noted(template(opening("<|im_start|>assistant\n ")), "X671"),
            "behind a blank, past ones as well": noted(
                template(
                    opening("<|im_start|>assistant\n ").replace("'\n' + mess", "'\n ' + mess")
                ),
                "X671",
            ),
        },
        missed="a blank or a line before past answers alone, as Mistral and Llama 2 have it",
    ),
    "F57": Fault(
        name="questions are marked otherwise than answers",
        seeds={
            "no end of the question": noted(template(for_users(ENDS, "'\n'")), "X817"),
            "the next turn begins where the question ends": noted(
                template(for_users(ENDS, "''")), "X817"
            ),
            "a start in the place of its end": noted(
                template(for_users(ENDS, "'<|im_start|>\n'")), "X817"
            ),
            "no start of the question": noted(
                template(for_users("'<|im_start|>' + message['role'] + '\n'", "''")), "X817"
            ),
            "two ends of every turn": noted(
                template(CHAT_TEMPLATE.replace("<|im_end|>", "<|im_end|><|im_end|>")), "X817"
            ),
            "an answer before the first question": noted(
                template(
                    "{{ '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nnegative<|im_end|>\n' }}"
                    + CHAT_TEMPLATE
                ),
                "X817",
            ),
        },
        missed="families whose roles have marks of their own; a system text that the template writes by itself",
    ),
}
