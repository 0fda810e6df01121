"""Codes of what a recipe names outside its project (R306 on), and of the user's word for it (E760 on)."""

from __future__ import annotations

from engine.codes import Code

_TRUST = (
    "Look at what it is. `recipe trust RECIPE` allows all that the recipe names outside its project now, until it names"
    " something else."
)

CODES: dict[str, Code] = {
    "R306": Code(
        title="a recipe that reads outside its project",
        why="A recipe may come from a stranger, and what it reads can end up in a model, in a report or on a server. It"
        " may read the git repository that it is in, else its own folder; links count by where they lead, and names"
        " that begin with a dot are outside. A warning when validating (nothing is read), an error when running.",
        fix=f"{_TRUST} `--allow-read PATH` does so for one call. Folders of yours that are one project stand as"
        " `projects:` in settings.yaml of your configuration folder (~/.config/slm-recipe).",
    ),
    "R307": Code(
        title="a recipe that sends rows to another machine",
        why="A baseline with an `endpoint` sends it the holdout's rows, and shots from the training rows. Whatever the"
        " recipe says of itself, only its user can know whether they may leave.",
        fix=f"{_TRUST} `--allow-host HOST` does so for one call.",
    ),
    "R308": Code(
        title="a key that is not known to belong to a host",
        why="A recipe names the variable and the host; a stranger's could send any variable of yours to a host of the"
        " stranger's. Keys of known providers go to their own host without asking.",
        fix=f"{_TRUST} `--allow-key NAME=HOST` does so for one call.",
    ),
    "R309": Code(
        title="a server's address that can be read in more than one way",
        why="What is judged must be what is connected to. Names, passwords and line breaks in an address, letters that"
        " look like others, and IP addresses written as one number are read differently by different programs.",
        fix="Write https://HOST:PORT/PATH: the host in ASCII (xn--…), an IPv4 address as four numbers.",
    ),
    "R310": Code(
        title="a variable that is never sent as a key",
        why="AWS_*, GITHUB_*, GOOGLE_*, HF_*, SSH_* and their like open other things than a model's server.",
        fix="Put the key of the server into a variable of its own, such as MY_SERVER_KEY.",
    ),
    "R311": Code(
        title="a key over a connection that is not encrypted",
        why="Everybody on the way could read it. This machine itself is the exception.",
        fix="Write https://, or delete `api_key_env`.",
    ),
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
