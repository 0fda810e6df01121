"""Further classes of changes of data, for `support.changed_data`: how files are read, times, groups, look-alikes."""

from collections.abc import Mapping
from typing import Final

from support.changed_data import MAIN, SPLITS, TESTS, Change, Edit, NotApplicableError
from support.recipe_pairs import TOPICS

_ALIKE: Final = str.maketrans({"a": "\u0430", "e": "\u0435", "o": "\u043e", "c": "\u0441"})
"""Latin letters and Cyrillic ones that look the same."""


def _other_encoding(edit: Edit) -> None:
    for source in edit.new.sources:
        source["encoding"] = "latin-1"
    for one in (edit.old, edit.new):
        for rows in one.files.values():
            for row in rows:
                row["text"] += " façade"


def _times_moved(edit: Edit) -> None:
    edit.only("time")
    for row in edit.some(0.4):
        row["day"] = row["day"].replace("2026-01", "2025-11")


def _times_of_other_zones(edit: Edit) -> None:
    """The same clock, read in other places: some of the latest rows are no longer the latest."""
    edit.only("time")
    rows = edit.judging_rows()
    for one in (edit.old, edit.new):
        for row in (row for part in one.files.values() for row in part):
            row["day"] = f"{row['day']}+00:00"
    latest = sorted(rows, key=lambda row: row["day"])[-12:]
    for row in latest:
        row["day"] = (
            f"{row['day'].removesuffix('+00:00').replace('2026-01-28', '2026-01-01')}+14:00"
        )


def _groups_joined(edit: Edit) -> None:
    edit.only("groups")
    for rows in edit.new.files.values():
        for row in rows:
            row["customer"] = f"c{int(row['customer'][1:]) % 7}"


def _other_way(edit: Edit) -> None:
    ways = [name for name in SPLITS if name != edit.way and name not in ("files", "folds")]
    if edit.way == "files":
        raise NotApplicableError
    edit.new.recipe["splits"] = dict(SPLITS[edit.draw.choice(ways)])


def _look_alikes(edit: Edit) -> None:
    for row in edit.some():
        row["text"] = f"{row['topic']} {row['text']}".translate(_ALIKE)


def _unseen_characters(edit: Edit) -> None:
    for row in edit.some():
        row["text"] = f"{row['text']}\u200b\u2060"


def _judging_file_exchanged(edit: Edit) -> None:
    edit.only("files")
    for source in edit.new.sources:
        source["into"] = {"train": "holdout", "holdout": "train"}[source["into"]]


def _rows_by_another_name(edit: Edit) -> None:
    """The recipe names another file, which holds easier rows."""
    name = TESTS if edit.way == "files" else MAIN
    for row in edit.some(0.3):
        row["text"] = f"{row['topic']} {row['text']}"
    edit.new.files["rows-2026.csv"] = edit.new.files.pop(name)
    for source in edit.new.sources:
        if source["path"] == name:
            source["path"] = "rows-2026.csv"


def _template_of_the_answer(edit: Edit) -> None:
    edit.new.recipe["task"]["input"] = "{text} ({other})"


MORE_WEAKENINGS: Final[Mapping[str, Change]] = {
    "another encoding": _other_encoding,
    "times moved": _times_moved,
    "times of other zones": _times_of_other_zones,
    "groups joined": _groups_joined,
    "another way of dividing": _other_way,
    "look-alikes": _look_alikes,
    "characters nobody sees": _unseen_characters,
    "judging file exchanged": _judging_file_exchanged,
    "easier rows under another name": _rows_by_another_name,
    "another column in the text": _template_of_the_answer,
}
"""Changes after which other rows judge, mostly; a pair counts where it is so."""


def _byte_order_mark(edit: Edit) -> None:
    for source in edit.new.sources:
        edit.new.written[source["path"]] = "marked"


def _quoted(edit: Edit) -> None:
    for source in edit.new.sources:
        edit.new.written[source["path"]] = "quoted"


def _tabs(edit: Edit) -> None:
    for source in edit.new.sources:
        name = source["path"].replace(".csv", ".tsv")
        edit.new.files[name] = edit.new.files.pop(source["path"])
        source["path"] = name
        edit.new.written[name] = "tabs"


def _by_a_pattern(edit: Edit) -> None:
    for source in edit.new.sources:
        source["path"] = source["path"].replace(".csv", ".cs*")


def _columns_dropped(edit: Edit) -> None:
    for name, rows in edit.new.files.items():
        edit.new.files[name] = [{key: row[key] for key in row if key != "other"} for row in rows]


def _columns_in_another_order(edit: Edit) -> None:
    for name, rows in edit.new.files.items():
        edit.new.files[name] = [{key: row[key] for key in reversed(row)} for row in rows]


def _labels_in_another_order(edit: Edit) -> None:
    edit.new.recipe["task"]["labels"] = list(reversed(TOPICS))
    edit.new.recipe["task"]["instruction"] = "Which topic is this ticket about: {labels}?"


def _fewer_training_rows(edit: Edit) -> None:
    edit.only("column", "files")
    rows = edit.new.files[MAIN]
    gone = [row for row in rows if edit.way == "files" or row["part"] == "train"][:8]
    edit.new.files[MAIN] = [row for row in rows if row not in gone]


def _words_around(edit: Edit) -> None:
    edit.new.recipe["description"] = "Sorts tickets."
    edit.new.recipe["task"]["instruction"] = "Say the topic, one of {labels}."


def _written_out(edit: Edit) -> None:
    edit.new.recipe["data"]["sample"] = {"rows": 100_000}
    edit.new.recipe["data"]["checks"]["empty"] = "fail"


MORE_HARMLESS: Final[Mapping[str, Change]] = {
    "a byte order mark": _byte_order_mark,
    "quotes around every value": _quoted,
    "tabs": _tabs,
    "a pattern that matches the file": _by_a_pattern,
    "a column less": _columns_dropped,
    "columns in another order": _columns_in_another_order,
    "labels in another order": _labels_in_another_order,
    "fewer training rows": _fewer_training_rows,
    "other words": _words_around,
    "a sample of more rows than there are": _written_out,
}
"""Changes after which the same rows judge by the same answers; a pair counts where it is so."""
