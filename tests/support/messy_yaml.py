"""Recipes written as people write them: any mix of styles, blank lines and comments everywhere."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import strategies as st


@dataclass(slots=True)
class Messy:
    """Writes one value as YAML; every choice is drawn."""

    draw: Random
    comments: list[str] = field(default_factory=list)

    def text(self, value: Mapping[str, Any]) -> str:
        return "\n".join(["", *self._mapping(value, 0), *self._own(0)][self._yes() :]) + "\n"

    def _yes(self, chance: int = 2) -> bool:
        return bool(self.draw.randint(1, chance) == 1)

    def _comment(self) -> str:
        self.comments.append(f"# c{len(self.comments)}: a 'b' \"c\" {{d}} [e]")
        return self.comments[-1]

    def _own(self, indent: int) -> list[str]:
        """Blank lines and comments before an entry, at its indentation or at any other."""
        lines = []
        while self._yes(4):
            at = indent if self._yes() else self.draw.randint(0, 9)
            lines.append("" if self._yes(3) else " " * at + self._comment())
        return lines

    def _beside(self) -> str:
        if not self._yes(5):
            return ""
        return " " * self.draw.randint(1, 12) + self._comment()

    def _mapping(self, value: Mapping[str, Any], indent: int) -> list[str]:
        lines = []
        for key, item in value.items():
            lines += self._own(indent) + self._entry(
                f"{' ' * indent}{self._key(key)}:", item, indent
            )
        return lines

    def _list(self, value: list[Any], indent: int) -> list[str]:
        lines = []
        for item in value:
            lines += self._own(indent)
            if isinstance(item, Mapping) and item and self._yes():
                inner = self._mapping(item, indent + 2)
                first = next(
                    at for at, line in enumerate(inner) if line.strip()[:1] not in ("", "#")
                )
                lines += inner[:first]
                lines += [f"{' ' * indent}- {inner[first].strip(' ')}", *inner[first + 1 :]]
            else:
                lines += self._entry(f"{' ' * indent}-", item, indent)
        return lines

    def _entry(self, head: str, value: Any, indent: int) -> list[str]:
        if isinstance(value, str) and not isinstance(value, Plain) and self._yes(6):
            return self._folded(head, value, indent)
        if not isinstance(value, Mapping | list) or not value or self._yes(4):
            return self._flow_entry(head, value, indent)
        step = self.draw.randint(1, 4)
        if isinstance(value, Mapping):
            return [head + self._beside(), *self._mapping(value, indent + step)]
        step = step if head.endswith("-") or self._yes() else 0
        return [head + self._beside(), *self._list(value, indent + step)]

    def _folded(self, head: str, value: str, indent: int) -> list[str]:
        words = value.split(" ")
        if "\n" in value or len(words) < 2 or "" in words or self._yes():
            return self._literal(head, value, indent)
        margin = " " * (indent + self.draw.randint(1, 6))
        quoted = json.dumps(value, ensure_ascii=False).split(" ", 1)
        return [f"{head} {quoted[0]}", margin + quoted[1] + self._beside()]

    def _literal(self, head: str, value: str, indent: int) -> list[str]:
        body, ends = value.rstrip("\n"), len(value) - len(value.rstrip("\n"))
        is_safe = body and all(
            line == line.strip() and line.isprintable() for line in body.split("\n")
        )
        if not is_safe or not body.split("\n")[0]:
            return [f"{head} {json.dumps(value, ensure_ascii=False)}{self._beside()}"]
        style = {0: "|-", 1: "|"}.get(ends, "|+")
        margin = " " * (indent + self.draw.randint(1, 4))
        lines = [margin + line if line else "" for line in body.split("\n")]
        return [f"{head} {style}{self._beside()}", *lines, *[""] * max(0, ends - 1)]

    def _flow_entry(self, head: str, value: Any, indent: int) -> list[str]:
        if isinstance(value, Mapping | list) and value and self._yes(3):
            return self._spread(head, value, indent)
        return [f"{head} {self._flow(value)}{self._beside()}".rstrip(" ")]

    def _spread(self, head: str, value: Any, indent: int) -> list[str]:
        """A flow collection over several lines, with comments in it."""
        opening, closing = "{}" if isinstance(value, Mapping) else "[]"
        margin = " " * (indent + 3)
        lines = [f"{head} {opening}{self._beside()}"]
        for item in value:
            lines += [margin + self._comment()] if self._yes(6) else []
            text = (
                f"{self._key(item)}: {self._flow(value[item])}"
                if opening == "{"
                else self._flow(item)
            )
            lines.append(f"{margin}{text},{self._beside()}")
        lines += [margin + self._comment()] if self._yes(6) else []
        return [*lines, f"{margin}{closing}{self._beside()}"]

    def _flow(self, value: Any) -> str:
        space = " " * self.draw.randint(0, 1)
        if isinstance(value, Mapping):
            inner = ", ".join(
                f"{self._key(name)}: {self._flow(item)}" for name, item in value.items()
            )
            return "{" + space + inner + space + "}"
        if isinstance(value, list):
            return "[" + space + ", ".join(map(self._flow, value)) + space + "]"
        return self._scalar(value)

    def _scalar(self, value: Any) -> str:
        if isinstance(value, Plain):
            return str(value)
        if isinstance(value, str):
            quoted = json.dumps(value, ensure_ascii=False)
            single = "'" + value.replace("'", "''") + "'"
            return single if value.isprintable() and self._yes() else quoted
        return json.dumps(value)

    def _key(self, key: str) -> str:
        return key if isinstance(key, Plain) or key.isidentifier() else json.dumps(key)


class Plain(str):
    """Text that needs no quotes, not even in a list."""

    __slots__ = ()


WORDS = st.sampled_from([Plain(word) for word in ("a", "b c", "d-e", "f_1", "x/y.csv")])
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp", "Cf"))
    | st.just("\n"),
    max_size=30,
)
SCALARS = WORDS | TEXTS | st.integers(-9, 9) | st.booleans() | st.none() | st.floats(-9, 9)
