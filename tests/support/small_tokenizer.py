"""The files of a tokenizer of bytes, written by hand: made without the library that reads them."""

import json
from typing import Any, Final

SETTINGS: Final = json.dumps(
    {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "model_max_length": 512,
        "chat_template": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
        "message['content'] + '<|im_end|>'}}{% endfor %}",
    }
).encode()


def tokenizer_fields() -> dict[str, Any]:
    """Return a tokenizer of bytes, without merges."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (chr(256 + place) for place in range(256 - len(printed)))
    words = [*map(chr, printed), *others, "<|im_start|>", "<|im_end|>"]
    added = [
        {
            "id": words.index(text),
            "content": text,
            "special": True,
            **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
        }
        for text in words[-2:]
    ]
    split = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": split,
        "decoder": split,
        "model": {"type": "BPE", "vocab": {text: n for n, text in enumerate(words)}, "merges": []},
    }
