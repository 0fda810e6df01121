"""What a row is asked behind its prompt: the tokens that are fed, and what comes of them. Logits stand in a table."""

import numpy as np
import pytest

from engine.runtime.generation.sequence import AnswerTokens
from engine.runtime.llama.decoding_jobs import DecodingJob, SearchJob
from engine.runtime.llama.engine import START, Job, Logits
from engine.runtime.scoring.label_search import make_tree

YES, NO, OTHER, WELL, END = 1, 2, 3, 4, 9
ANSWERS = [[YES, END], [NO, END], [YES, WELL, END]]
READ = AnswerTokens(
    terminator="|",
    tail=0,
    is_stop=lambda token: token == END,
    text=lambda tokens: " ".join(map(str, tokens)),
    whole=lambda tokens: " ".join(map(str, tokens)),
)
Path = tuple[int, ...]


def logits(best: int, second: int) -> Logits:
    found = np.zeros(10, dtype=np.float32)
    found[best], found[second] = 4.0, 3.0
    return found


def fed_by(job: Job, table: dict[Path, Logits]) -> list[Path]:
    """Run a job to its end; return what was fed, each with all that stands before it."""
    reached: dict[int, Path] = {START: ()}
    fed: list[Path] = []
    # one buffer, as the engine hands out: what a job keeps of it has to be a copy
    shown = table[()].copy()
    job.begin(shown)
    shown[:] = -1.0
    while wanted := job.requests():
        for request in wanted:
            path = (*reached[request.behind], *request.tokens)
            reached[request.node] = path
            fed.append(path)
            ends = [path[: len(path) - left] for left in reversed(range(len(request.tokens)))]
            job.take(request, [table[end] for end in (ends if request.every else ends[-1:])])
    return fed


SAYS_AN_ANSWER: dict[Path, Logits] = {
    (): logits(YES, NO),
    (YES,): logits(END, WELL),
    (YES, WELL): logits(END, OTHER),
    (NO,): logits(END, OTHER),
}
SAYS_ANOTHER = {
    **SAYS_AN_ANSWER,
    (): logits(OTHER, YES),
    (OTHER,): logits(WELL, END),
    (OTHER, WELL): logits(END, YES),
}


@pytest.mark.parametrize(
    ("table", "text", "is_seen"),
    [
        pytest.param(SAYS_AN_ANSWER, "1", True, id="an answer"),
        pytest.param(SAYS_ANOTHER, "3 4", False, id="another text"),
    ],
)
def test_the_free_text_costs_nothing_where_the_search_saw_it(
    table: dict[Path, Logits], text: str, is_seen: bool
) -> None:
    search, free = SearchJob(make_tree(ANSWERS), distribution=True), DecodingJob(READ, most=5)
    fed_by(search, table)
    decoded = DecodingJob(READ, most=5)
    fed_by(decoded, table)

    assert search.settles(free, ANSWERS) == is_seen
    if is_seen:
        assert free.decoding.result().text == decoded.decoding.result().text
    assert (decoded.decoding.result().text, decoded.decoding.finished) == (text, True)


def test_an_answer_that_does_not_fit_is_cut_off_as_decoding_cuts_it() -> None:
    search, free = SearchJob(make_tree(ANSWERS), distribution=True), DecodingJob(READ, most=1)
    fed_by(search, SAYS_AN_ANSWER)

    assert not search.settles(free, ANSWERS)
    fed_by(free, SAYS_AN_ANSWER)
    assert (free.decoding.result().text, free.decoding.finished) == ("1", False)
