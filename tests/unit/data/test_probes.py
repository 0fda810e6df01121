"""Probes: the built-in ones, and those of files as benchmarks write them."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.data.probes import ProbeItem, probe_items
from engine.errors import DataError
from engine.recipe.model import PathRef, Probe, Source
from support.paths import SHARED_DATA
from support.stage_bench import Quiet

BUILTIN = Probe(name="builtin", kind="builtin")


def cached(*_: Any) -> Any:
    raise AssertionError("nothing is fetched")


def source(path: Path) -> Source:
    return Source(ref=PathRef(path=path, written=path.name))


def written(tmp_path: Path, rows: list[dict[str, Any]], kind: Any, **probe: Any) -> Probe:
    path = tmp_path / "probe.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Probe(name="own", kind=kind, source=source(path), **probe)


def asked(probe: Probe, seed: int = 7) -> tuple[ProbeItem, ...]:
    return probe_items(probe, seed=seed, cached=cached, progress=Quiet())


def test_the_built_in_probes_are_three_kinds_with_balanced_answers() -> None:
    items = asked(BUILTIN)

    assert Counter(item.kind for item in items) == {
        "multiple_choice": 150,
        "cloze": 150,
        "minimal_pairs": 300,
    }
    for kind in ("multiple_choice", "cloze"):
        places = Counter(item.gold for item in items if item.kind == kind)
        assert max(places.values()) - min(places.values()) <= 1
        assert {len(item.options) for item in items if item.kind == kind} == {4}


def test_no_built_in_item_stands_twice() -> None:
    items = asked(BUILTIN)

    assert len({item.options for item in items}) == len(items)


def test_minimal_pairs_differ_and_are_whole_sentences() -> None:
    for item in asked(BUILTIN):
        if item.kind == "minimal_pairs":
            (before, good), (_, bad) = item.options
            assert before == ""
            assert good != bad
            assert good[0].isupper()
            assert good[-1] in ".?"
            assert "  " not in good + bad


def test_a_question_is_asked_as_a_question(tmp_path: Path) -> None:
    row = {"query": "Question: What is red?", "choices": ["a rose", "the sky"], "gold": 0}

    (item,) = asked(written(tmp_path, [row], "multiple_choice"))

    assert item.options[0] == ("Question: What is red?\nAnswer:", " a rose")
    assert item.gold == 0


def test_a_cloze_text_may_come_in_several_forms(tmp_path: Path) -> None:
    row = {"context_options": ["so Ann", "so Eve"], "continuation": "won.", "gold": 1}

    (item,) = asked(written(tmp_path, [row], "cloze"))

    assert item.options == (("so Ann", " won."), ("so Eve", " won."))
    assert item.gold == 1


@pytest.mark.parametrize("answer", [1, "1", "B", "b", "the sky"])
def test_an_answer_is_a_place_a_letter_or_the_text(tmp_path: Path, answer: Any) -> None:
    row = {"question": "What is blue?", "choices": ["a rose", "the sky"], "answer": answer}

    (item,) = asked(written(tmp_path, [row], "multiple_choice"))

    assert item.gold == 1


def test_columns_of_other_names_are_reported(tmp_path: Path) -> None:
    row = {"stem": "What is blue?", "choices": {"text": ["a rose", "the sky"]}, "key": "B"}
    columns = (("question", "stem"), ("choices", "choices.text"), ("answer", "key"))

    (item,) = asked(written(tmp_path, [row], "multiple_choice", columns=columns))

    assert item.gold == 1


def test_a_row_without_the_columns_of_its_kind_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"D385.*`own`: the rows have text; minimal_pairs needs"):
        asked(written(tmp_path, [{"text": "x"}], "minimal_pairs"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "a?", "choices": ["x", "x"], "answer": 0}, "does not hold two different"),
        ({"question": "a?", "choices": ["x"], "answer": 0}, "does not hold two different"),
        ({"question": "a?", "choices": ["x", "y"], "answer": 2}, "answer 2 is none of 2"),
        ({"question": "a?", "choices": ["x", "y"], "answer": True}, "answer True is none"),
        ({"question": " ", "choices": ["x", "y"], "answer": 0}, "question is no text"),
    ],
)
def test_a_row_that_cannot_be_asked_is_reported_with_its_line(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    good = {"question": "b?", "choices": ["x", "y"], "answer": 0}

    with pytest.raises(DataError, match=rf"D386.*probe.jsonl:2: .*{message}"):
        asked(written(tmp_path, [good, row], "multiple_choice"))


def test_a_choice_that_stands_twice_counts_once(tmp_path: Path) -> None:
    row = {"question": "What is blue?", "choices": ["a rose", "a rose", "the sky"], "answer": 2}

    (item,) = asked(written(tmp_path, [row], "multiple_choice"))

    assert [text for _, text in item.options] == [" a rose", " the sky"]
    assert item.gold == 1


def test_a_limit_draws_by_seed_and_keeps_the_order(tmp_path: Path) -> None:
    rows = [{"good": f"It is {n}.", "bad": f"It are {n}."} for n in range(50)]
    probe = written(tmp_path, rows, "minimal_pairs", limit=10)
    order = [item.options[0][1] for item in asked(written(tmp_path, rows, "minimal_pairs"))]

    drawn = [item.options[0][1] for item in asked(probe, seed=1)]

    assert len(drawn) == 10
    assert drawn == sorted(drawn, key=order.index)
    assert drawn == [item.options[0][1] for item in asked(probe, seed=1)]
    assert drawn != [item.options[0][1] for item in asked(probe, seed=2)]


def test_equal_rows_are_asked_once(tmp_path: Path) -> None:
    row = {"good": "It is.", "bad": "It are."}

    assert len(asked(written(tmp_path, [row, row], "minimal_pairs"))) == 1


def test_packed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"sentence_good": "It is.", "sentence_bad": "It are."}\n'))

    assert len(asked(Probe(name="own", kind="minimal_pairs", source=source(path)))) == 1


@pytest.mark.parametrize(
    ("file", "kind", "rows"),
    [
        ("probes_dev/arc_easy.jsonl.gz", "multiple_choice", 2376),
        ("probes_dev/openbook_qa.jsonl", "cloze", 500),
        ("probes_dev/copa.jsonl", "cloze", 100),
        ("probes_dev/piqa.jsonl.gz", "multiple_choice", 1838),
        ("probes_dev/winogrande.jsonl", "cloze", 1267),
        ("blimp_small/blimp_first100.jsonl.gz", "minimal_pairs", 6700),
    ],
)
def test_published_probes_are_read_as_they_are(file: str, kind: Any, rows: int) -> None:
    path = SHARED_DATA / file
    if not path.is_file():
        pytest.skip("the shared data sets are not here")

    items = asked(Probe(name="own", kind=kind, source=source(path)))

    assert rows * 0.98 < len(items) <= rows
