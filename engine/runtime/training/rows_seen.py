"""Which rows a trainer has learned from: each of the rendered ones once an epoch, with the labels that were written."""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b, sha256
from itertools import batched
from pathlib import Path
from typing import Any, Final

from engine.files.reading import parse_json, read_json
from engine.runtime.rendering.chat import kept_chat
from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.training.batches import documents_of
from engine.values import Value

FILE: Final = "rows.json"
"""A file in a checkpoint."""
BYTES: Final = 8
KEYS: Final = ("input_ids", "labels", "attention_mask")
HEAD: Final = 32
"""Rows whose order is compared: no shuffle leaves as many, or all of at least `FEW`, where they stand."""
FEW: Final = 12
AT_ONCE: Final = 1000
WHOLE: Final = 1e-6
"""Tolerance of the trainer's count of epochs for a whole number."""
SeenRow = Mapping[str, Any]
Tokens = tuple[Sequence[int], Sequence[int]]
"""Tokens of a row, and their labels."""


class Written(Value):
    """The rendered rows, and the tokens learned from them."""

    rows: Path
    """`train.jsonl`."""
    base_model: Path
    """The model whose tokenizer reads them."""
    learn_all: bool = False
    """Every token is learned, and not the answers alone."""

    def tokens(self, name: str = "train.jsonl", *, at_once: int = AT_ONCE) -> Iterator[Tokens]:
        """Yield the rows of a split, read without the code that trains on them."""
        chat = kept_chat(self.base_model, asks=None)
        with self.rows.with_name(name).open(encoding="utf-8") as stream:
            for lines in batched(map(parse_json, stream), at_once):
                for packed in (line for line in lines if "input_ids" in line):
                    for one in documents_of(packed):
                        yield tuple(one["input_ids"]), list(one["labels"])
                plain = [line["segments"] for line in lines if "segments" in line]
                read = iter(chat.all_token_ids([part["text"] for one in plain for part in one]))
                for parts in plain:
                    ids, labels = list[int](), list[int]()
                    for part, found in zip(parts, read, strict=False):
                        ids += found
                        is_learned = self.learn_all or part["label"]
                        labels += found if is_learned else [IGNORED] * len(found)
                    yield tuple(ids), labels


class RowsSeen:
    """Takes rows as batches are made, and steps as they end; says after each epoch what was seen."""

    def __init__(
        self,
        expected: Iterator[Tokens],
        report: Callable[[SeenRow], None],
        strange: Callable[[Sequence[SeenRow]], None] = lambda _: None,
        *,
        counts: bool = True,
    ) -> None:
        """Expect these rows once an epoch; `strange` is shown those of the trainer's that are none of them.

        Without `counts` only that: of several processes each sees a part of the rows.
        """
        self._strange, self._report, self._counts = strange, report, counts
        listed = [digest_of(*one) for one in expected]
        self._expected = Counter(listed)
        self._head, self._first, self._before = listed[:HEAD], list[str](), list[str]()
        self._waiting: list[list[str]] = []
        self._seen = Counter[str]()
        self._chain = ""
        self._is_known = True
        self.is_shuffled = True
        """Rows are to come in another order than they were written in."""
        self.is_off = False
        """Rows of another form (preferences), which are not counted."""

    def offered(self, rows: Any) -> None:
        """Report whether the trainer's set of rows is the rendered one, before any is learned from."""
        if not {"input_ids", "labels"} <= set(getattr(rows, "column_names", ())):
            return
        few = rows.select_columns([key for key in KEYS if key in rows.column_names])
        # A row at a time they take four times as long to be read.
        for columns in few.iter(batch_size=AT_ONCE):
            values = zip(*columns.values(), strict=True)
            self.collated([dict(zip(columns, one, strict=True)) for one in values])
        self.epoch_ended(0.0)

    def collated(self, rows: Sequence[SeenRow]) -> None:
        """Take the rows of a batch, which is made one batch before it is learned from."""
        self.is_off |= not all("labels" in row and "input_ids" in row for row in rows)
        if self.is_off:
            return
        documents = [one for row in rows for one in documents_of(row)]
        digests = [digest_of(one["input_ids"], one["labels"]) for one in documents]
        pairs = zip(documents, digests, strict=True)
        if odd := [one for one, digest in pairs if digest not in self._expected]:
            self._strange(odd)
        if self._counts:
            self._waiting.append(digests)

    def step_ended(self, batches: int) -> None:
        done, self._waiting = self._waiting[:batches], self._waiting[batches:]
        for batch in done:
            self._seen.update(batch)
            self._first += batch[: HEAD - len(self._first)]
            self._chain = sha256((self._chain + "".join(batch)).encode()).hexdigest()

    def epoch_ended(self, epoch: float) -> None:
        """Report what was seen of an epoch, whole or not."""
        is_whole = abs(epoch - round(epoch)) < WHOLE
        if is_whole:
            self.step_ended(len(self._waiting))
        if self.is_off or not self._seen:
            return
        missing, again = self._expected - self._seen, self._seen - self._expected
        is_ordered = self.is_shuffled and epoch > 0
        self._report(
            {
                "event": "rows",
                "epoch": epoch,
                "seen": self._seen.total(),
                "of": self._expected.total(),
                "missing": missing.total() if is_whole and self._is_known else 0,
                "again": again.total(),
                "chain": self._chain,
                "in_order": is_ordered and len(self._head) >= FEW and self._first == self._head,
                "as_before": is_ordered and len(self._first) >= FEW and self._first == self._before,
            }
        )
        # Those of the set itself, which is read first, stand in its order.
        self._before = self._first if epoch > 0 else []
        self._first = []
        self._seen.clear()
        self._waiting.clear()
        self._chain = self._chain if epoch else ""
        self._is_known = True

    def save(self, checkpoint: Path) -> None:
        if not self._counts:
            return
        found = {"seen": self._seen, "chain": self._chain}
        (checkpoint / FILE).write_text(json.dumps(found), encoding="utf-8")

    def go_on(self, checkpoint: Path) -> None:
        """Go on from a checkpoint; one of an earlier version does not say which rows are left."""
        path = checkpoint / FILE
        self._is_known = path.is_file()
        if not self._is_known:
            return
        found = read_json(path)
        self._chain = str(found["chain"])
        seen = Counter[str](found["seen"])
        self._seen = Counter() if seen.total() >= self._expected.total() else seen


def digest_of(ids: Sequence[int], labels: Sequence[int]) -> str:
    """Return a digest of tokens and labels; nothing is learned at the first place, as nothing stands before it."""
    text = array("q", [*ids, -1, *labels[1:]]).tobytes()
    return blake2b(text, digest_size=BYTES).hexdigest()
