"""Codes of the sources: what a recipe says of them (R250 on), what their files hold (D330 on)."""

from __future__ import annotations

from engine.codes import Code

_RULES = {
    "R250": Code(
        title="a pattern that matches no file",
        why="A source without files gives no rows, and more often means a misspelt folder.",
        fix="Correct the pattern; it is read from the recipe's folder. * stands for any characters"
        " of a name, ** for any folders; hidden files are left out.",
    ),
    "R251": Code(
        title="a key that this format does not read, or lacks one that it needs",
        why="`records` speaks of json and xml, `columns` of lines; elsewhere they would be ignored."
        " Nothing but `records` tells which element of an xml file is a row.",
        fix="Delete the key, correct `format`, or add `records` to the xml source.",
    ),
    "R252": Code(
        title="a source is put into a split that the recipe draws",
        why="`into` decides where rows go; with any other way to split, something else decides.",
        fix="Write `splits.by: files`, or delete `into`.",
    ),
    "R253": Code(
        title="with splits by files, a source that belongs to none",
        why="Its rows would be in no split.",
        fix="Add `into: train`, `into: validation` or `into: holdout` to the source.",
    ),
    "R254": Code(
        title="a weight that changes nothing",
        why="Only training rows are repeated or thinned, and a weight means something beside other"
        " sources only.",
        fix="Delete `weight`, or use `method.epochs` or `data.sample`.",
    ),
    "R255": Code(
        title="a pattern with a key that speaks of one file",
        why="One sha256 is of one file; a file is read beside one other file.",
        fix="List the files, one source each, or delete the key.",
    ),
    "R256": Code(
        title="a pattern that meets links it does not follow",
        why="A link out of the recipe's folder brings in files that nobody sees in the recipe.",
        fix="Name the linked file by its own path, or delete the link.",
    ),
}

_FILES = {
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

CODES: dict[str, Code] = {**_RULES, **_FILES}
