"""Pages of what keeps a baseline from being asked: G52x, and E72x for models that a server serves."""

from __future__ import annotations

from engine.codes import Code

_V1 = "The address usually ends with /v1."

CODES: dict[str, Code] = {
    "G521": Code(
        title="the training rows cannot be searched",
        why="Shots are found by the words of the row that is asked; blank rows have none.",
        fix="remove retrieved_few_shot from `baselines`, or look at the training rows",
    ),
    "E721": Code(
        title="the server of a baseline cannot be reached",
        why="A baseline with an `endpoint` is answered by a server on your network, which must run.",
        fix=f"start the server, or correct `endpoint` under `baselines`. {_V1}",
    ),
    "E722": Code(
        title="the server of a baseline refuses the key",
        why="The key is read from the environment variable that `api_key_env` names. It is sent to"
        " the server and written nowhere.",
        fix="set the variable to a key that the server accepts: export MY_SERVER_KEY=…",
    ),
    "E723": Code(
        title="the server of a baseline has no model of that name",
        why="Some servers answer with another model when they do not know a name; its score would"
        " then stand under the wrong one.",
        fix="use one of the names that the server lists: curl ADDRESS/models",
    ),
    "E724": Code(
        title="the server of a baseline refuses what it is asked",
        why="The address is no chat completions API, the prompts are too long for the model, or"
        " more than one row in ten was refused.",
        fix=f"use fewer shots, give the server a longer context, or correct `endpoint`. {_V1}",
    ),
    "E725": Code(
        title="the server of a baseline does not answer",
        why="It was too busy, failed, or was silent at every attempt. Answers that came are kept"
        " and are not asked for again.",
        fix="run the same command again later",
    ),
    "E726": Code(
        title="the answer of a server is no chat completion",
        why="Without a message of the assistant there is nothing to judge.",
        fix=f"name an OpenAI-compatible server as `endpoint`. {_V1}",
    ),
    "E727": Code(
        title="the key for a server is not there, or is none",
        why="Keys never stand in recipes: anyone who reads the recipe would have it.",
        fix="export MY_SERVER_KEY=… where `api_key_env: MY_SERVER_KEY`, or delete `api_key_env` if"
        " the server needs no key",
    ),
}
