"""Codes of the text of a recipe and of its schema (R101 on), and of what a run refuses (R249, R272)."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "R101": Code(
        title="duplicate key",
        why="Most YAML readers silently keep the last one, so a reviewer may read the other.",
        fix="Delete one of the two lines.",
    ),
    "R102": Code(
        title="the file is not YAML",
        why="Nothing else in the file can be checked before it can be read.",
        fix="Usual causes: a tab for indentation, an open quote or bracket, text with `: ` or "
        "starting with `@`, `%` or a backtick without quotes.",
    ),
    "R103": Code(
        title="the recipe cannot be read",
        why="The file is missing, a folder, a device, or not readable by you.",
        fix="Check the path and the file's permissions.",
    ),
    "R104": Code(
        title="unknown key",
        why="The vocabulary is closed: a misspelt key that was ignored would train something else "
        "than what is written.",
        fix="Use the key the message suggests; `recipe schema` lists all keys.",
    ),
    "R105": Code(
        title="a required key is missing",
        why="It has no default that would be right for everyone.",
        fix="Add the key; `recipe schema KEY` shows an example.",
    ),
    "R106": Code(
        title="wrong type of value",
        why="Values are never converted: `1` is a number, `no` is text, only `true` and `false` "
        "are booleans, `2e-4` is a number, `012` and `1_000` are text.",
        fix='Quote text that looks like a number or a brace: "1", "{text}".',
    ),
    "R107": Code(
        title="value not among the allowed ones",
        why="The key knows a fixed list of words.",
        fix="Use one of the words the message lists.",
    ),
    "R108": Code(
        title="number out of range",
        why="Outside this range the number has no meaning; shares go from 0 to 1, not to 100.",
        fix="Use a number inside the range.",
    ),
    "R109": Code(
        title="text of the wrong form",
        why="Names, commits and digests have an exact form, so that they mean one thing only.",
        fix="Write it in the form the message names.",
    ),
    "R110": Code(
        title="too few, too many or repeated entries",
        why="An empty or repeated entry would change nothing, or count twice.",
        fix="Add, remove or merge entries.",
    ),
    "R111": Code(
        title="needs exactly one of several keys",
        why="A model or a source comes from one place: hub, path or package.",
        fix="Keep one of the keys.",
    ),
    "R112": Code(
        title="a key without the one it goes with, or beside one it does not go with",
        why="`revision` means something for the hub only, `file` for archives and hub data sets.",
        fix="Add the other key or delete this one.",
    ),
    "R113": Code(
        title="the recipe is not UTF-8 text",
        why="Read in another encoding, a label could become another label.",
        fix="Save the file as UTF-8: iconv -f OLD -t UTF-8 FILE",
    ),
    "R114": Code(
        title="the recipe is empty",
        why="There is nothing to do.",
        fix="Start from a shipped recipe: recipe init quickstart",
    ),
    "R115": Code(
        title="the recipe is larger than 1 MiB",
        why="A recipe is a page; a file of this size is something else, often the data.",
        fix="Put the data into its own file and name it under data.sources.",
    ),
    "R116": Code(
        title="nested more than 32 levels deep",
        why="No recipe needs it, and deep nesting is how files attack their readers.",
        fix="Flatten the value.",
    ),
    "R117": Code(
        title="anchors, aliases and merge keys are not part of recipes",
        why="With them a line changes places far from it, which a review of the diff cannot see; "
        "and a few bytes can grow to gigabytes.",
        fix="Write the value out where it is used.",
    ),
    "R118": Code(
        title="tags are not part of recipes",
        why="A tag can make a reader build objects; a recipe is data, safe to read from anyone.",
        fix="Delete the tag; quote the value if it shall be text.",
    ),
    "R119": Code(
        title="a recipe is one document without directives",
        why="Other tools would read only the first document, or another YAML version.",
        fix="Keep one document per file and delete lines that start with `%`.",
    ),
    "R120": Code(
        title="a key that is not text",
        why="An unquoted `0` or `true` is a number or a boolean, not the text in your data.",
        fix='Quote it: "0": ham',
    ),
    "R121": Code(
        title="not a finite number of usual size",
        why="Infinity, NaN and numbers beyond 2^63 compare and compute in surprising ways.",
        fix="Write an ordinary number.",
    ),
    "R122": Code(
        title="invisible control character",
        why="Control and text-direction characters make a file read differently than it looks.",
        fix="Delete the character at the place named.",
    ),
    "R123": Code(
        title="the parent of a recipe is not there",
        why="`extends` is read from the folder of the recipe, and nothing is known without it.",
        fix="Correct the path, or take the line out and say everything in one file.",
    ),
    "R124": Code(
        title="a parent with a parent",
        why="What a recipe says must be found in two files at most, or nobody can review it.",
        fix="Move what is shared into one parent, and let that extend nothing.",
    ),
    "R125": Code(
        title="a parent that is not beside the recipe",
        why="An absolute path or a URL means something on one machine, or today, only; a recipe never "
        "depends on what another place serves.",
        fix="Copy the parent into the repository and name it relative to the recipe's folder.",
    ),
    "R127": Code(
        title="a line that cannot be edited in place",
        why="`recipe pin` adds one line or replaces one word; a value over several lines leaves no place "
        "for that.",
        fix="recipe fmt FILE, and try again.",
    ),
    "R249": Code(
        title="a kind of task that cannot be run to the end yet",
        why="Preference pairs are not evaluated yet. Training a model that nothing can judge "
        "would spend hours and prove nothing.",
        fix="`recipe data RECIPE` and `recipe run --until data RECIPE` work for every kind.",
    ),
    "R272": Code(
        title="a stage that this recipe does not have",
        why="`resample` trains the models of learning curves and folds; a recipe that asks for "
        "neither has no such stage.",
        fix="set learning_curve: true or splits.folds, or name another stage",
    ),
}
