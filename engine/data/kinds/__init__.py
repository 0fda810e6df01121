"""From a row of a file to what is read and what shall be answered: one reader for each kind of task.

A reader is a module here with the one function of `RowReader`, named by `Kind.row_reader`. What
`Example.payload` holds:

- classification, text: nothing.
- multilabel: nothing (`labels` says it).
- extraction: `answer`, the JSON object.
- generation: `references`, every right answer, the first one included.
- chat: `messages`, each with `role` and `content` (and `tool_calls`, `tool_call_id`, `name`,
  `trained: false` where an assistant's turn is not learned from); `tools` where there are any.
- preference: `messages` (the prompt), `chosen` and `rejected` (lists of messages). For KTO rows,
  which have one answer and a thumb: `messages`, `answer` (messages) and `desirable`.
"""

import importlib
from typing import cast

from engine.data.examples.template import Fill, RowReader
from engine.recipe.model import Data, Task


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what turns rows of that shape into `Filled`; `shape` is never `auto`."""
    reader = cast("RowReader", importlib.import_module(task.spec.row_reader))
    return reader.filler(task, data, shape)
