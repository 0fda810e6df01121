"""Asks an exported graph: `python -m engine.runtime.graph.worker REQUEST RESULT`, the JSON of its `client`.

Needs nothing but the runtime, the tokenizer beside the graph, and numpy, as the programs of its users do. Each row that
is done prints one line, the number of rows done.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engine.files.reading import MOST_ANSWERS, read_json
from engine.runtime.graph.client import GRAPH_FILE, INPUTS, TOKENIZER
from engine.runtime.scoring.label_search import Search, make_tree
from engine.values import to_json

Logits = NDArray[np.float32]
Run = Callable[[Sequence[int]], Logits]


def load(folder: Path, *, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"]
    )

    def run(tokens: Sequence[int]) -> Logits:
        ids = np.array([tokens], dtype=np.int64)
        inputs = zip(INPUTS, (ids, np.ones_like(ids)), strict=True)
        (logits,) = session.run(None, dict(inputs))
        found: Logits = logits[0]
        return found

    return run


def answer(
    run: Run, rows: Sequence[list[int]], answers: Sequence[list[int]], report: Callable[[int], None]
) -> dict[str, Any]:
    """Return the choice of each row, and whether the numbers of the graph were finite."""
    tree, choices = make_tree(answers), []
    for done, row in enumerate(rows, start=1):
        search = Search(tree, distribution=True)
        while wanted := search.wanted():
            for number in wanted:
                path = [token for at in tree.path(number) for token in tree.branches[at].tokens]
                scored, scores = tree.branches[number].scored, list[float]()
                # The whole row is computed for each branch.
                logits = run([*row, *tree.forced, *path])[-len(scored) :]
                for place, tokens in zip(logits.astype(np.float64), scored, strict=True):
                    top = place.max()
                    normaliser = top + np.log(np.exp(place - top).sum())
                    scores += (float(place[token] - normaliser) for token in tokens)
                if not all(map(math.isfinite, scores)):
                    return {"choices": [], "is_finite": False}
                search.take(number, scores)
        choices.append(to_json(search.choice))
        report(done)
    return {"choices": choices, "is_finite": True}


def main(request: Path, result: Path) -> None:
    asked = read_json(request, limit=MOST_ANSWERS)
    folder = Path(asked["folder"])
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))

    def read(texts: Sequence[str]) -> list[list[int]]:
        return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    rows = read(asked["prompts"])
    run = load(folder, threads=asked["threads"])
    found = answer(run, rows, read(asked["answers"]), partial(print, flush=True))
    result.write_text(json.dumps({**found, "token_ids": rows}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
