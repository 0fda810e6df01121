"""Classes of changes of data, for `support.changed_data`: after some other rows judge, after others the same do."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from support.changed_data import (
    MAIN,
    MORE,
    TESTS,
    Change,
    Edit,
    NotApplicableError,
    Version,
    file_bytes,
)
from support.recipe_pairs import TOPICS


def _rows_deleted(edit: Edit) -> None:
    edit.drop(edit.some())


def _rows_answered(edit: Edit) -> None:
    for row in edit.some():
        row["topic"] = next(topic for topic in TOPICS if topic != row["topic"])


def _rows_rewritten(edit: Edit) -> None:
    for row in edit.some():
        row["text"] = f"{row['topic']} {row['text'][::-1]}"


def _group_rewritten(edit: Edit) -> None:
    edit.only("groups")
    for row in edit.judging_rows():
        if row["customer"] in ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"):
            row["text"] = f"{row['topic']} {row['text'][::-1]}"


def _source_added(edit: Edit) -> None:
    edit.new.files[MORE] = edit.easy(40)
    into = {"into": "holdout"} if edit.way == "files" else {}
    edit.new.sources.append({"path": MORE, **into})


def _rows_copied(edit: Edit) -> None:
    for one in (edit.old, edit.new):
        one.checks["duplicates"] = "off"
    rows = edit.new.files[TESTS if edit.way == "files" else MAIN]
    rows += [dict(row) for row in edit.some(0.1) for _ in range(4)]


def _contradicted(edit: Edit) -> None:
    made = [{**row, "topic": next(t for t in TOPICS if t != row["topic"])} for row in edit.some()]
    edit.new.files[MORE] = made
    into = {"into": "train"} if edit.way == "files" else {}
    edit.new.sources.append({"path": MORE, **into})


def _label_by_header(edit: Edit) -> None:
    names = list(edit.new.files[MAIN][0])
    swapped = [{"topic": "other", "other": "topic"}.get(name, name) for name in names]
    for one, header in ((edit.old, names), (edit.new, swapped)):
        for source in one.sources:
            source["header"] = list(header)
            one.written[source["path"]] = "headless"


def _label_by_column(edit: Edit) -> None:
    edit.new.recipe["data"]["label"]["column"] = "other"


def _relabelled(edit: Edit) -> None:
    names = list(TOPICS)
    edit.new.recipe["data"]["label"]["relabel"] = {
        names[0]: names[1],
        names[1]: names[0],
        names[2]: names[2],
    }


def _check_drops(name: str, action: str = "drop") -> Change:
    def change(edit: Edit) -> None:
        edit.new.checks[name] = action

    return change


def _near_copies_dropped(edit: Edit) -> None:
    for one in (edit.old, edit.new):
        for rows in one.files.values():
            for at in range(0, len(rows) - 1, 4):
                rows[at + 1]["text"] = f"{rows[at]['text']}!?"
                rows[at + 1]["topic"] = rows[at]["topic"]
    edit.new.checks["near_duplicates"] = "drop"


def _other_seed(edit: Edit) -> None:
    edit.only("stratified", "random", "groups")
    edit.new.recipe["splits"]["seed"] = edit.draw.randrange(100, 10_000)


def _smaller(edit: Edit) -> None:
    splits = edit.new.recipe["splits"]
    if "holdout" not in splits:
        raise NotApplicableError
    splits["holdout"] = splits["holdout"] // 2 if isinstance(splits["holdout"], int) else 0.15
    splits["train"] = 30 if isinstance(splits["holdout"], int) else 0.75


def _sampled(edit: Edit) -> None:
    edit.new.recipe["data"]["sample"] = {"rows": 60, "seed": 5}


def _fewer_texts(edit: Edit) -> None:
    edit.new.recipe["task"]["input"] = "{customer}: {text}"


def _part_by_other_column(edit: Edit) -> None:
    edit.only("column")
    for one in (edit.old, edit.new):
        for rows in one.files.values():
            for at, row in enumerate(rows):
                row["easy"] = "test" if at % 4 == 0 else "train"
    edit.new.recipe["splits"]["by"] = {"column": "easy"}


def _judges_to_train(edit: Edit) -> None:
    edit.only("column")
    for row in edit.some(0.5):
        row["part"] = "train"


WEAKENINGS: Final[Mapping[str, Change]] = {
    "rows deleted": _rows_deleted,
    "rows with other answers": _rows_answered,
    "rows rewritten": _rows_rewritten,
    "members of groups rewritten": _group_rewritten,
    "easy source added": _source_added,
    "copies of rows": _rows_copied,
    "source that contradicts": _contradicted,
    "label by header": _label_by_header,
    "label by column": _label_by_column,
    "labels exchanged": _relabelled,
    "personal data dropped": _check_drops("personal_data"),
    "personal data masked": _check_drops("personal_data", "mask"),
    "mojibake dropped": _check_drops("mojibake"),
    "control characters dropped": _check_drops("control_characters"),
    "labels in texts dropped": _check_drops("label_in_input"),
    "near duplicates dropped": _near_copies_dropped,
    "another seed": _other_seed,
    "smaller holdout": _smaller,
    "sampled": _sampled,
    "other texts": _fewer_texts,
    "another column divides": _part_by_other_column,
    "judges become training rows": _judges_to_train,
}
"""Changes after which other rows judge, mostly; a pair counts where it is so."""


OF_EVERY_KIND: Final[Mapping[str, Change]] = {
    name: WEAKENINGS[name]
    for name in (
        "rows deleted", "rows with other answers", "rows rewritten", "easy source added", "copies of rows",
        "source that contradicts", "personal data dropped", "near duplicates dropped", "another seed",
        "smaller holdout", "sampled", "judges become training rows",
    )
}  # fmt: skip
"""Those that no key of one kind is needed for: see `support.changed_kinds`."""


def _gzipped(edit: Edit) -> None:
    for source in edit.new.sources:
        _renamed(edit.new, source, f"{source['path']}.gz", "gzip")


def _as_json_lines(edit: Edit) -> None:
    for source in edit.new.sources:
        _renamed(edit.new, source, source["path"].replace(".csv", ".jsonl"), "jsonl")


def _as_parquet(edit: Edit) -> None:
    for source in edit.new.sources:
        _renamed(edit.new, source, source["path"].replace(".csv", ".parquet"), "parquet")


def _renamed(one: Version, source: dict[str, Any], name: str, how: str) -> None:
    one.files[name] = one.files.pop(source["path"])
    source["path"] = name
    if how:
        one.written[name] = how


def _by_another_name(edit: Edit) -> None:
    for source in edit.new.sources:
        _renamed(edit.new, source, f"all-{source['path']}", "")


def _in_two_files(edit: Edit) -> None:
    source = edit.new.sources[-1]
    rows = edit.new.files.pop(source["path"])
    half = len(rows) // 2
    edit.new.files |= {"part-1.csv": rows[:half], "part-2.csv": rows[half:]}
    edit.new.sources[-1:] = [
        {**source, "path": "part-1.csv"},
        {**source, "path": "part-2.csv"},
    ]


def _columns_renamed(edit: Edit) -> None:
    for name, rows in edit.new.files.items():
        edit.new.files[name] = [
            {{"text": "body", "topic": "subject"}.get(key, key): row[key] for key in row}
            for row in rows
        ]
    edit.new.recipe["task"]["input"] = "{body}"
    edit.new.recipe["data"]["label"]["column"] = "subject"


def _relabelled_to_itself(edit: Edit) -> None:
    edit.new.recipe["data"]["label"]["relabel"] = {name: name for name in TOPICS}


def _more_training_rows(edit: Edit) -> None:
    edit.only("column", "files")
    edit.new.files[MAIN] += [{**row, "part": "train"} for row in edit.easy(30)]


def _typos_in_training_rows(edit: Edit) -> None:
    edit.only("column", "files")
    for row in edit.new.files[MAIN]:
        if row["part"] == "train" or edit.way == "files":
            row["text"] += " teh"


def _more_folds(edit: Edit) -> None:
    edit.only("folds")
    edit.new.recipe["splits"]["folds"] = 8


def _line_ends(edit: Edit) -> None:
    for source in edit.new.sources:
        edit.new.written[source["path"]] = "crlf"


def _column_added(edit: Edit) -> None:
    for rows in edit.new.files.values():
        for row in rows:
            row["note"] = "x"


def _other_order(edit: Edit) -> None:
    for rows in edit.new.files.values():
        edit.draw.shuffle(rows)


def _pinned(edit: Edit) -> None:
    for one, how in ((edit.old, ""), (edit.new, "crlf")):
        for source in one.sources:
            one.written[source["path"]] = how
            content = file_bytes(one.files[source["path"]], how)
            source["sha256"] = hashlib.sha256(content).hexdigest()


def _reader_written_out(edit: Edit) -> None:
    for source in edit.new.sources:
        source |= {"format": "csv", "encoding": "utf-8", "quoting": "double"}


def _header_written_out(edit: Edit) -> None:
    for source in edit.new.sources:
        source["header"] = list(edit.new.files[source["path"]][0])
        edit.new.written[source["path"]] = "headless"


HARMLESS: Final[Mapping[str, Change]] = {
    "gzip": _gzipped,
    "JSON lines": _as_json_lines,
    "Parquet": _as_parquet,
    "another name": _by_another_name,
    "two files": _in_two_files,
    "columns renamed": _columns_renamed,
    "labels to themselves": _relabelled_to_itself,
    "more training rows": _more_training_rows,
    "typos in training rows": _typos_in_training_rows,
    "more folds": _more_folds,
    "line ends": _line_ends,
    "a column more": _column_added,
    "another order": _other_order,
    "renewed pins": _pinned,
    "reader written out": _reader_written_out,
    "header written out": _header_written_out,
}
"""Changes after which the same rows judge by the same answers; a pair counts where it is so."""
HARMLESS_FOR_ALL: Final[Mapping[str, Change]] = {
    name: HARMLESS[name]
    for name in (
        "another name", "two files", "more training rows", "typos in training rows", "more folds", "a column more",
        "another order",
    )
}  # fmt: skip
"""Those of them that rows of every kind have."""
