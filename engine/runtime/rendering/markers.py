"""The tokens with which a chat template marks turns, found in texts: there they could end a turn and open another."""

from __future__ import annotations

from engine.runtime.rendering.chat import Chat


class Markers:
    """The special tokens of a tokenizer, looked up once for many texts."""

    def __init__(self, chat: Chat) -> None:
        tokenizer = chat.tokenizer
        special = [token for token in tokenizer.added_tokens_decoder.values() if token.special]
        names = sorted({str(token) for token in special} | set(tokenizer.all_special_tokens))
        self._chat = chat
        self._names = dict(zip(tokenizer.convert_tokens_to_ids(names), names, strict=True))
        self._literal = tuple(names) if not any(token.normalized for token in special) else ()

    def within(self, text: str) -> tuple[str, ...]:
        """Return the special tokens, such as `<|im_end|>`, that `text` would be tokenised into, sorted."""
        if self._literal and not any(name in text for name in self._literal):
            return ()
        found = self._names.keys() & set(self._chat.token_ids(text))
        return tuple(sorted(self._names[token] for token in found))
