"""Pages of the lock beside a recipe: D380 to D384, D387 to D389, D400 and D401."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "D380": Code(
        title="the lock beside the recipe can be read",
        why="The lock says which rows are held out. A run that went on without it could train on"
        " rows that were held out before.",
        fix="Keep one side of a merge conflict whole, or take `<recipe>.lock.json` back from version"
        " control. Without the file the next run draws and records the holdout anew.",
    ),
    "D381": Code(
        title="the lock is one that this version writes",
        why="The engine never overwrites a file that it did not write, and does not guess what a"
        " newer version meant.",
        fix="Move the file away, or install the version of slm-recipe that wrote it.",
    ),
    "D382": Code(
        title="the lock holds what a lock holds",
        why="A lock that was edited by hand no longer proves anything, and its rows cannot be"
        " found again.",
        fix="Take `<recipe>.lock.json` back from version control. Without the file the next run"
        " draws and records the holdout anew.",
    ),
    "D383": Code(
        title="the rows that the lock records can be read",
        why="The recorded rows decide what is held out. If they were changed by hand or by a bad"
        " merge, another holdout would be used under the old name.",
        fix="`recipe data RECIPE --repair-lock` writes the lock anew with the very holdout that it recorded:"
        " from an earlier run in the store, from the data where they still give it, or without the training"
        " rows that cannot be read. Or take `<recipe>.lock.json` back from version control.",
    ),
    "D384": Code(
        title="the lock can be written beside the recipe",
        why="Without it the holdout is not held to its rows when rows are added, and a redraw does"
        " not show in review. The run goes on; the report says so.",
        fix="Make the recipe's folder writable, or run from a copy of the recipe that is.",
    ),
    "D387": Code(
        title="the data is the data that the lock names",
        why="A run beside a lock repeats the accepted run. With other rows it would train another model,"
        " and end in another number, after hours. So it stops before, and names the row.",
        fix="Take the file of the lock back. Where the rows were changed on purpose, run it with"
        " `--update-lock`: the recorded holdout still keeps its rows, and an accepted run renews the lock.",
    ),
    "D388": Code(
        title="the base model is the one that the lock names",
        why="Other weights or another tokenizer make another model. The lock holds the digest of each file.",
        fix="Take the model of the lock, or run it with `--update-lock` where the change is meant.",
    ),
    "D389": Code(
        title="a frozen run is covered by its lock",
        why="`--frozen` is for those who must get the very model of the lock: it refuses a recipe that asks"
        " for something else, other versions of the tools, and whatever is not pinned.",
        fix="Do what the hint says, or run it without `--frozen`, which compares and says what differs.",
    ),
    "D400": Code(
        title="a broken lock can be repaired without a new draw",
        why="The lock holds the sha256 of the rows that are held out, and a short key for each. Where the keys"
        " cannot be read, only rows with that sha256 are the same holdout: in the store of an earlier run, or"
        " drawn from the same data. Neither is there, so another holdout would be used under the old name.",
        fix="Take `<recipe>.lock.json` back from version control, or run it where the store of an earlier run"
        " is. Deleting the file draws another holdout, which makes new scores incomparable with old ones.",
    ),
    "D401": Code(
        title="a repaired lock can be written",
        why="The rows of the lock were found, and its file cannot be replaced.",
        fix="Make the recipe's folder writable, and repair it again.",
    ),
}
