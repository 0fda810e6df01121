"""An exported graph asked as the programs of its users do: by the runtime, numpy and the tokenizer beside the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engine.failures import library_errors
from engine.progress import Progress
from engine.runtime.scoring.label_search import LabelChoice, Search, make_tree

GRAPH_FILE: Final = "model.onnx"
"""The file that is loaded; as Optimum names it."""
INPUTS: Final = ("input_ids", "attention_mask")
TOKENIZER: Final = "tokenizer.json"
Logits = NDArray[np.float32]
Run = Callable[[Sequence[int]], Logits]


def ask_graph(
    folder: Path,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    threads: int,
    progress: Progress,
) -> tuple[list[LabelChoice], list[list[int]]]:
    """Return for each prompt the shares of all `answers`, and its tokens. StageError X816.

    No shares at all where a number of the graph is not finite.
    """
    with library_errors("X816", "ONNX Runtime failed", hint="install a newer runtime"):
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        rows, tokens = (
            [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
            for texts in (prompts, answers)
        )
        run = load(folder, threads=threads)
        found = answer(run, rows, tokens, lambda done: progress.update(done, len(rows), "rows"))
    return found, rows


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
) -> list[LabelChoice]:
    """Return the choice of each row; none at all where a number of the graph is not finite."""
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
                    return []
                search.take(number, scores)
        choices.append(search.choice)
        report(done)
    return choices
