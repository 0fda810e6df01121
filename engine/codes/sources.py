"""Codes of what the files of sources hold: D330 on."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "D330": Code(
        title="files read side by side have as many lines as each other",
        why="From the first missing line on, every row would get a value of another row.",
        fix="Compare the files around the first difference; a file made anew must be made from the"
        " same rows in the same order.",
    ),
    "D331": Code(
        title="XML is well formed",
        why="What stands after the first mistake has no clear meaning.",
        fix="Correct the file at the line of the message, for example with `xmllint --noout FILE`.",
    ),
    "D332": Code(
        title="`explode` names a column that holds a list",
        why="A single value is no list of items; making one of it would hide a broken row.",
        fix="Correct the rows, or name another column in `explode`. An empty list is fine and gives"
        " no rows.",
    ),
    "D333": Code(
        title="it is clear which array of a JSON file holds the rows",
        why="Of several arrays, or one deep inside, any could be meant.",
        fix="Add `records:` with the key path of one of them, such as `records: data.items`.",
    ),
    "D334": Code(
        title="`records` is in the file",
        why="Without it there are no rows.",
        fix="Use one of the names in the message. For json it is the key path of an array from the"
        " top of the file, for xml the name of an element, with its prefix.",
    ),
    "D335": Code(
        title="XML declares no entities and refers to no other file",
        why="A kilobyte of entities can expand to gigabytes, and a reference can read any file of"
        " the machine.",
        fix="Write the file without entity declarations, for example with `xmllint --noent` on a"
        " machine that may read what it refers to.",
    ),
    "D336": Code(
        title="one value fits into memory",
        why="Rows are held one at a time, and none needs tens of millions of characters.",
        fix="Divide the text, choose `format: lines`, or look for a quote that is never closed.",
    ),
}
