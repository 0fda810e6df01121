"""Codes of what a recipe names outside its project (R312 on), and of the user's word for it (E760 on)."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "R312": Code(
        title="an option that allows nothing",
        why="What is allowed is compared letter by letter.",
        fix="--allow-read PATH, --allow-host HOST or HOST:PORT, --allow-key NAME=HOST or NAME=HOST:PORT",
    ),
    "R313": Code(
        title="settings that cannot be read",
        why="They say which folders of yours a recipe may read; a mistake in them must not widen that.",
        fix="write `projects:` with a list of absolute folders, or delete the file",
    ),
    "R314": Code(
        title="`recipe trust` without a recipe",
        why="Your word is for one recipe, and for what it names.",
        fix="recipe trust RECIPE, recipe trust --forget RECIPE, or recipe trust --list",
    ),
    "E760": Code(
        title="your word cannot be kept",
        why="It stands in your own state folder (~/.local/state/slm-recipe), never in the recipe's.",
        fix="mend the permissions, set XDG_STATE_HOME, or use --allow-read, --allow-host and --allow-key",
    ),
    "E761": Code(
        title="a server's name that leads where no name may",
        why="After it was allowed, a name can be made to lead to the cloud's metadata service, or to a link-local"
        " address.",
        fix="if that is meant, write the address itself into `endpoint`, and allow it",
    ),
    "E763": Code(
        title="an answer of a server that is not read to its end",
        why="An answer of a model is a few kilobytes; one of gigabytes would take all memory, an endless one all time.",
        fix="correct `endpoint`, or look at what the server sends: curl ADDRESS/models",
    ),
}
