"""Codes of the data: its rows (D301 on), its files (D320 on), and where it comes from (D340 on)."""

from __future__ import annotations

from engine.codes import Code

ROWS: dict[str, Code] = {
    "D301": Code(
        title="a column named in the recipe is in the data",
        why="A row without the text or the label cannot be an example, and"
        " guessing which column was"
        " meant would train on the wrong one.",
        fix="Name a column of the file in `task.input` or `data.label.column`. Nested values are"
        " reached by dotted paths: `input.1.content`.",
    ),
    "D302": Code(
        title="the template of `task.input` can be filled from every row",
        why="Dates and bytes have no single text form, and a stray brace is more often a mistake"
        " than meant.",
        fix="Write literal braces as {{ and }}; store dates as text in the file.",
    ),
    "D303": Code(
        title="bins need numbers",
        why="A value such as `n/a` or `1,5` is in no bin; leaving it out silently would hide a"
        " broken column.",
        fix="Correct the values, or use `relabel` for labels that are words. Numbers look like"
        " `-1.5` or `2e3`.",
    ),
    "D304": Code(
        title="no row is empty",
        why="A model trained on empty texts learns the class frequencies, and a row without a label"
        " teaches nothing.",
        fix="Fill the rows, or write `data.checks.empty: drop`.",
    ),
    "D305": Code(
        title="every label in the data is one of the task's",
        why="A misspelt label silently takes rows away from its class.",
        fix="Add the label to `task.labels`, map it with `data.label.relabel`, or write"
        " `data.checks.unknown_labels: drop`.",
    ),
    "D306": Code(
        title="no row repeats another",
        why="Repeated rows weigh more in training and make the scores look steadier than they are."
        " Texts count as the same after NFKC, case folding and collapsing white space.",
        fix="Write `data.checks.duplicates: drop` to keep one of each.",
    ),
    "D307": Code(
        title="one text has one label",
        why="No model can be right on a text that is labelled both ways; in the holdout it caps the"
        " score, in training it teaches noise.",
        fix="Decide the label in the data, or write `data.checks.conflicting_labels: drop` to leave"
        " all rows of such texts out.",
    ),
    "D308": Code(
        title="classes are not lopsided",
        why="With under 5 % of the rows (or under half an even share of many"
        " classes), or a tenth of"
        " the largest class, a rare class is learnt badly and judged on a handful of rows.",
        fix="Add rows of the rare class, or write `data.checks.imbalance: warn`.",
    ),
    "D309": Code(
        title="every label of the task has rows",
        why="A class without rows can neither be learnt nor judged.",
        fix="Remove the label from `task.labels`, or add rows (see `relabel` and `bins`).",
    ),
    "D310": Code(
        title="no row of the holdout is seen in training",
        why="A holdout row that also stands in train or validation, exactly or nearly (Jaccard"
        " similarity of 5-character shingles at least 0.8), measures memory instead of skill.",
        fix="Remove one of the two rows, or write `data.checks.leakage: drop` to take such rows out"
        " of train and validation.",
    ),
    "D311": Code(
        title="there are enough rows for the splits",
        why="The sizes in rows are met exactly or not at all; a smaller holdout would quietly widen"
        " every interval.",
        fix="Lower `splits.train`, raise `data.sample.rows`, or add rows. The message says how many"
        " are needed and how many there are.",
    ),
    "D312": Code(
        title="every class stands in every split",
        why="A class that is missing from a split is not learnt, not watched or not judged; one row"
        " in the holdout says nothing.",
        fix="Use `splits.by: stratified`, enlarge the split, or add rows of that class.",
    ),
    "D313": Code(
        title="a sample is not larger than what it is drawn from",
        why="The recipe would promise more rows than there are.",
        fix="Lower `data.sample.rows`, or leave `sample` out to take every row.",
    ),
}

FILES: dict[str, Code] = {
    "D320": Code(
        title="a data file exists and can be read",
        why="Rows that cannot be opened cannot be checked.",
        fix="Correct the path (it is relative to the recipe), or the file's"
        " permissions. A folder is"
        " not a file.",
    ),
    "D321": Code(
        title="a data file has rows",
        why="An empty file is more often a failed download than meant.",
        fix="Write the file again, or remove the source.",
    ),
    "D322": Code(
        title="text is in the encoding the recipe says, UTF-8 by default",
        why="Guessing an encoding changes words without a trace.",
        fix="Convert the file to UTF-8, or add `encoding: latin-1` (utf-16, cp1252, …) to the"
        " source.",
    ),
    "D323": Code(
        title="a text file is not binary",
        why="A zero byte or a zip archive where a table is expected means that it is another file.",
        fix="Name the table itself; gzip, zstd, bzip2 and xz are unpacked on the way, zip and tar"
        " are not.",
    ),
    "D324": Code(
        title="a table is regular",
        why="A row with more or fewer fields than the header, a header that names a column twice or"
        " a quote that is never closed shifts values into the wrong column.",
        fix="Correct the rows. Text that holds quotes or the delimiter must be"
        " quoted, quotes inside"
        " doubled; `quoting: none` takes quotes as they are.",
    ),
    "D325": Code(
        title="JSON is well formed",
        why="A line that is not JSON is a row that would be lost.",
        fix="Correct the line; one object a line for jsonl, one array of objects for json.",
    ),
    "D326": Code(
        title="JSON rows are objects and mean one thing",
        why="Duplicate keys, NaN, numbers beyond a float and half characters are"
        " read differently by"
        " every program.",
        fix="Write each row as an object with unique keys; use null where there is no value. A row"
        " that is an array needs `header`.",
    ),
    "D327": Code(
        title="the format of a file is known",
        why="The same bytes are different rows as csv and as tsv.",
        fix="Add `format: csv` (jsonl, json, tsv, parquet) to the source.",
    ),
    "D328": Code(
        title="a Parquet file is whole",
        why="Its index stands at its end: a truncated file has none.",
        fix="Write or download the file again.",
    ),
    "D329": Code(
        title="compressed data is whole",
        why="A truncated archive looks like a shorter file.",
        fix="Compress or download the file again.",
    ),
}

ORIGINS: dict[str, Code] = {
    "D340": Code(
        title="bytes have the sha256 that the recipe pins",
        why="Other bytes are other data: the result could not be traced to what was reviewed.",
        fix="Find out why they differ; when the new bytes are the ones you mean, pin their sha256.",
    ),
    "D341": Code(
        title="the package index has that package in that version",
        why="Another version may hold other data.",
        fix="Correct `package: name==version`; the message lists the nearest versions.",
    ),
    "D342": Code(
        title="the package index answers",
        why="The archive is not in the store yet, so it has to be fetched once.",
        fix="Check the network and the settings of pip or uv (PIP_INDEX_URL, UV_DEFAULT_INDEX,"
        " PIP_FIND_LINKS, PIP_CERT, proxies); then run again.",
    ),
    "D343": Code(
        title="an archive has the file that the recipe names",
        why="Member names are exact, from the root of the archive; `//` steps into"
        " an archive inside.",
        fix="Use one of the nearest names in the message, or list the archive with `unzip -l` or"
        " `tar tf`.",
    ),
    "D344": Code(
        title="a path inside an archive stays inside it and is a plain file",
        why="Links and `..` are how archives reach files they should not.",
        fix="Name the file that the link points to, by its own path in the archive.",
    ),
    "D345": Code(
        title="unpacked data stays within bounds",
        why="A few kilobytes can unpack to petabytes and fill the disk.",
        fix="Check where the file comes from; unpack a file that is honestly this large by hand and"
        " name it by `path`.",
    ),
    "D346": Code(
        title="an archive is whole and of a known kind",
        why="zip, whl, tar (plain or compressed), and single files in gz, bz2, xz or zst are read;"
        " encrypted members are not.",
        fix="Download the archive again, or name a member of a known kind.",
    ),
    "D347": Code(
        title="the hub has that data set, revision, file and split",
        why="Names on the hub are exact, and a revision belongs to one repository.",
        fix="Correct `hub`, `revision`, `config`, `split` or `file` of the source.",
    ),
    "D348": Code(
        title="the hub can be reached and lets you in",
        why="The data is not on this machine yet, so it has to be fetched once.",
        fix="Check the network, HF_ENDPOINT and HF_HUB_OFFLINE; for gated data sets, ask for access"
        " and set HF_TOKEN.",
    ),
}

LIMITS: dict[str, Code] = {
    "D425": Code(
        title="a pattern or schema of the task is done with each text in seconds",
        why="An expression such as `(a+)+$` takes twice as long for each further character, so that a"
        " single answer would hold a run up for years; a schema that refers to itself where it"
        " stands never ends.",
        fix="Write one repeat where one stands inside another: `a+` for `(a+)+`, `[ab]*` for"
        " `(a|b)*`; put `$ref` below a property or an item.",
    ),
}

CODES: dict[str, Code] = {**LIMITS, **ROWS, **FILES, **ORIGINS}
