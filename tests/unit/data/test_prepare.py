"""From rows to splits: every check, every action, everything reported at once."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from engine.data import prepare
from engine.data.checks.findings import Preparation
from engine.data.examples.example import Example, content_id, normalised
from engine.data.prepare import Prepared, split_digest
from engine.data.reading.row import Row
from engine.data.similarity.overlap import check_leakage, shared_texts
from engine.data.splitting.splits import Division
from engine.errors import DataError
from engine.recipe.model import Bin, LabelSpec, Sample
from support.prepared import WORDS, Pair, all_of, codes, find_leaks, pairs, rows, run, sentence


def test_clean_rows_are_divided_and_summed_up() -> None:
    got = run(pairs(120))

    assert [(s.name, s.rows, s.labels) for s in got.summary.splits] == [
        ("train", 60, {"bad": 30, "good": 30}),
        ("validation", 10, {"bad": 5, "good": 5}),
        ("holdout", 30, {"bad": 15, "good": 15}),
    ]
    assert (got.summary.rows_read, got.summary.rows_used) == (120, 100)
    assert got.summary.dropped == {"in no split": 20}
    assert got.summary.findings == ()
    assert (got.summary.overlap_exact, got.summary.overlap_near) == (0, 0)


def test_the_order_of_rows_changes_no_example() -> None:
    mixed = pairs(120)
    random.Random(3).shuffle(mixed)

    assert all_of(run(mixed)) == all_of(run(pairs(120)))


def test_a_digest_says_which_rows_not_in_which_order() -> None:
    train = [(row.input, row.target) for row in run(pairs(120)).train]

    assert split_digest(train[::-1]) == split_digest(train)
    assert split_digest(train[1:]) != split_digest(train)


REPEATED = [*pairs(120), (sentence(4).upper() + "  ", "bad"), (sentence(4), "bad")]


def test_repeated_rows_are_refused_dropped_reported_or_left() -> None:
    assert codes(REPEATED) == ["D306"]
    dropped = run(REPEATED, duplicates="drop")
    assert dropped.summary.dropped["duplicate"] == 2
    assert all_of(dropped) == all_of(run(REPEATED[::-1], duplicates="drop"))
    (finding,) = run(REPEATED, duplicates="warn").summary.findings
    assert (finding.check, finding.action, finding.count) == ("duplicates", "warn", 2)
    assert [example.split(" ")[0] for example in finding.examples] == ["r.csv:6", "r.csv:123"]
    assert run(REPEATED, duplicates="off").summary.findings == ()


def test_pairs_that_differ_in_the_rejected_answer_are_no_repeats() -> None:
    pair = {"chosen": "yes", "rejected": "no"}
    of = [Row(origin=f"r:{n}", values={"prompt": sentence(n), **pair}) for n in range(120)]
    of.append(Row(origin="r:120", values={**of[0].values, "rejected": "never"}))

    found = run(of, kind="preference", duplicates="drop").summary

    assert "duplicate" not in found.dropped


CONTRADICTED = [*pairs(120), (sentence(4).title(), "good")]


def test_contradicting_labels_are_refused_or_both_rows_dropped() -> None:
    assert codes(CONTRADICTED) == ["D307"]
    dropped = run(CONTRADICTED, conflicting_labels="drop")
    assert dropped.summary.dropped["conflicting label"] == 2
    assert sentence(4) not in {normalised(text) for _, text, _ in all_of(dropped)}
    (finding,) = run(CONTRADICTED, conflicting_labels="warn").summary.findings
    assert "r.csv:6 `" in finding.examples[0]
    assert "r.csv:122 `" in finding.examples[0]


EMPTY: list[tuple[Any, Any]] = [
    *pairs(120),
    (" ", "bad"),
    (None, "good"),
    ("text", ""),
    ("text", None),
]


def test_empty_texts_and_labels_are_refused_or_dropped() -> None:
    assert codes(EMPTY) == ["D304"]
    dropped = run(EMPTY, empty="drop").summary
    assert (dropped.dropped["empty"], dropped.dropped["empty label"]) == (2, 2)
    assert dropped.findings[0].count == 4


def test_only_what_is_empty_is_reported() -> None:
    messages = {(" ", "bad"): "1 row has an empty text", ("text", ""): "1 row has an empty label"}
    for pair, message in messages.items():
        (finding,) = run([*pairs(120), pair], empty="drop").summary.findings
        assert finding.message == message


def test_of_several_columns_the_blank_one_is_reported_and_not_the_text() -> None:
    of = [
        Row(origin=f"r:{at}", values={"text": text, "label": label, "more": "x" if at else " "})
        for at, (text, label) in enumerate(pairs(120))
    ]

    (finding,) = run(of, text="{text}; {more}", empty="drop").summary.findings

    assert finding.message == "1 row has a blank column in `task.input`"


UNKNOWN = [*pairs(120), ("x", "Good"), ("y", "Good"), ("z", "ugly")]


def test_unknown_labels_are_refused_with_the_nearest_or_dropped() -> None:
    assert codes(UNKNOWN) == ["D305"]
    dropped = run(UNKNOWN, unknown_labels="drop").summary
    assert dropped.dropped["unknown label"] == 3
    assert dropped.findings[0].examples == (
        "`Good` in 2 rows, first r.csv:122, did you mean `good`?",
        "`ugly` in 1 row, r.csv:124",
    )
    assert run(UNKNOWN, unknown_labels="off").summary.findings == ()


def test_a_lopsided_class_is_reported() -> None:
    lopsided = [(text, "good") for text, _ in pairs(200)] + [
        (sentence(n), "bad") for n in range(300, 310)
    ]
    assert codes(lopsided, sizes=(100, 20, 60)) == ["D308"]
    (finding,) = run(lopsided, sizes=(100, 20, 60), imbalance="warn").summary.findings
    assert finding.examples == ("`bad`: 10 of 210 rows (4.8%)",)


def test_rare_labels_are_shares_of_the_rows_which_may_have_several() -> None:
    several = [(sentence(at), "bad, good" if at < 4 else "good") for at in range(120)]

    found = run(several, kind="multilabel", imbalance="warn", missing_classes="warn")

    (finding,) = [one for one in found.summary.findings if one.check == "imbalance"]
    assert finding.examples == ("`bad`: 4 of 120 rows (3.3%)",)


def test_a_doubted_row_of_the_holdout_is_called_so_once() -> None:
    right = [
        (f"{sentence(n)} {('awful', 'great')[n % 2]}", ("bad", "good")[n % 2]) for n in range(200)
    ]
    wrong = [
        (text, "bad" if n < 40 and label == "good" else label)
        for n, (text, label) in enumerate(right)
    ]

    (finding,) = run(
        wrong, sizes=(80, 20, 100), label_errors="warn", imbalance="off"
    ).summary.findings

    judged = [one for one in finding.examples if "(holdout)" in one]
    assert judged
    assert {one.count("(holdout)") for one in judged} == {1}


def near(prepared: Prepared) -> list[Pair]:
    """Every holdout text again, one letter changed."""
    return [(f"{one.input}s", one.target) for one in prepared.holdout]


def test_near_copies_of_the_holdout_are_refused_dropped_or_reported() -> None:
    known = pairs(120)
    leaky = [*known, *near(run(known))]
    fractions = (0.6, 0.1, 0.3)
    assert codes(leaky, sizes=fractions) == ["D310"]
    warned = run(leaky, sizes=fractions, leakage="warn").summary
    assert warned.overlap_exact == 0
    assert warned.overlap_near > 0
    dropped = run(leaky, sizes=fractions, leakage="drop")
    assert (dropped.summary.overlap_exact, dropped.summary.overlap_near) == (0, 0)
    assert dropped.summary.dropped["near the holdout"] == warned.findings[0].count
    assert list(find_leaks(list(dropped.holdout), [*dropped.train, *dropped.validation])) == []
    kept = run(leaky, sizes=fractions, leakage="warn").holdout
    assert list(dropped.holdout) == list(kept)


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ((), "of 60 training rows 0 are left (left out: 60 by leakage)"),
        (("good",), "of 60 training rows 30 are left, with no other label than `good`"),
    ],
)
def test_checks_that_leave_too_little_to_train_on_are_refused(
    left: Sequence[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave_out(work: Preparation, division: Division, _: object) -> Any:
        rows = [
            row
            for row in division.rows(work.pool, "train")
            if work.pool.strata[work.pool.stratum[row]][0] not in left
        ]
        division.leave_out(rows, "leakage")
        return check_leakage(work, division, shared_texts(work))

    monkeypatch.setattr(prepare, "check_leakage", leave_out)

    with pytest.raises(DataError) as caught:
        run(pairs(100), leakage="drop")

    (problem,) = caught.value.problems
    assert problem.code == "D435"
    assert message in problem.message
    assert "data.checks.leakage: warn" in (problem.hint or "")


def test_everything_is_reported_at_once() -> None:
    broken = [*REPEATED, *CONTRADICTED[-1:], *EMPTY[-1:], *UNKNOWN[-1:]]

    assert codes(broken) == ["D304", "D305", "D307", "D306"]


def test_a_missing_column_names_the_others_and_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        run(
            pairs(4),
            text="{txet}",
            label=LabelSpec(column="lable", relabel=(), bins=(), separator=","),
        )

    label, text = caught.value.problems
    assert (label.code, label.path, label.hint) == (
        "D301",
        "data.label.column",
        "did you mean `label`?",
    )
    assert (text.path, text.hint) == ("task.input", "did you mean `text`?")
    assert "missing in 4 of 4 rows (first r.csv:2); columns are `text`, `label`" in text.message


def test_a_column_that_some_rows_lack_is_reported() -> None:
    lacking = [*rows(pairs(120)), Row(origin="r.jsonl:9", values={"label": "good"})]

    with pytest.raises(DataError) as caught:
        run(lacking)
    (problem,) = caught.value.problems
    assert problem.code == "D301"
    assert str(problem.hint).startswith("other rows have it")


def test_a_label_without_rows_is_no_fault_of_a_row() -> None:
    with pytest.raises(DataError) as caught:
        run([(text, "good") for text, _ in pairs(200)])
    (problem,) = (one for one in caught.value.problems if one.code == "D309")
    assert str(problem.hint).startswith("add rows of that label, or take it out of task.labels")


def test_bins_leave_out_and_count_what_is_between_them() -> None:
    numbers = [(sentence(n), str((n % 3 - 1) * 2.0)) for n in range(180)]
    bins = (Bin(label="bad", min=None, max=-1.0), Bin(label="good", min=1.0, max=None))
    label = LabelSpec(column="label", relabel=(), bins=bins, separator=",")

    assert run(numbers, label=label).summary.dropped["no bin"] == 60
    assert codes([*numbers, ("x", "two")], label=label) == ["D303"]


def test_a_sample_depends_on_content_and_seed() -> None:
    def drawn(of: Sequence[Pair], seed: int) -> set[str]:
        return {t for _, t, _ in all_of(run(of, sample=Sample(rows=100, seed=seed)))}

    assert drawn(pairs(300), 1) == drawn(pairs(300)[::-1], 1)
    assert drawn(pairs(300), 1) != drawn(pairs(300), 2)


def test_a_sample_larger_than_what_is_left_is_reported() -> None:
    with pytest.raises(DataError, match=r"D313.*200 rows asked for, 120 are left"):
        run(pairs(120), sample=Sample(rows=200, seed=1))


def example(text: str) -> Example:
    return Example(id=content_id(text, "a"), origin="r.csv:2", input=text, target="a")


def test_every_pair_that_shares_four_fifths_of_its_shingles_is_found() -> None:
    draw = random.Random(5)
    holdout = [example(sentence(n)) for n in range(40)]
    others = []
    for one in holdout:
        for cut in (1, 4, 8, 12, 20):
            at = draw.randrange(len(one.input))
            others.append(example(one.input[:at] + "#" + one.input[at + cut :]))

    def shingles(text: str) -> set[str]:
        return {text[at : at + 5] for at in range(len(text) - 4)}

    expected = {
        (one.id, other.id)
        for one in holdout
        for other in others
        if (both := len(shingles(one.input) & shingles(other.input)))
        and both >= 0.8 * len(shingles(one.input) | shingles(other.input))
    }
    found = {(leak.holdout.id, leak.other.id) for leak in find_leaks(holdout, others)}

    assert found == expected
    assert 40 <= len(expected) < len(others)


def test_short_texts_are_alike_only_when_they_are_equal() -> None:
    found = find_leaks([example("yes"), example("no")], [example("YES "), example("yess")])

    assert [(leak.holdout.input, leak.other.input, leak.similarity) for leak in found] == [
        ("yes", "YES ", 1.0)
    ]


def doubtful(count: int) -> list[Pair]:
    """Rows that are easy to tell apart, with every twelfth label turned round."""
    draw = random.Random(5)
    found: list[Pair] = []
    for number in range(count):
        label = "good" if number % 2 else "bad"
        words = draw.sample(WORDS[:13] if label == "good" else WORDS[13:], 7)
        turned = {"good": "bad", "bad": "good"}[label] if number % 12 == 0 else label
        found.append((" ".join(words), turned))
    return found


def test_doubted_labels_are_dropped_from_training_and_never_from_the_holdout() -> None:
    loud, quiet = (
        run(doubtful(300), sizes=(180, 30, 90), leakage="off", conflicting_labels="off",
            duplicates="off", label_errors=action)
        for action in ("drop", "off")
    )  # fmt: skip

    finding = next(one for one in loud.summary.findings if one.check == "label_errors")
    dropped = loud.summary.dropped["likely label error"]
    assert [one.id for one in loud.holdout] == [one.id for one in quiet.holdout]
    assert 0 < dropped < finding.count
    assert len(list(loud.train)) + len(list(loud.validation)) == 210 - dropped


def test_the_firewall_counts_the_holdout_rows_that_were_found_before_any_was_dropped() -> None:
    known = pairs(200)
    leaky = [*known, *near(run(known))]
    sizes = (0.6, 0.1, 0.3)
    warned, dropped = (run(leaky, sizes=sizes, leakage=action) for action in ("warn", "drop"))
    pairs_found = list(find_leaks(list(warned.holdout), [*warned.train, *warned.validation]))
    hit = {leak.holdout.id for leak in pairs_found}

    assert hit
    for prepared in (warned, dropped):
        wall = prepared.summary.firewall
        assert wall is not None
        assert (wall.found_exact, wall.found_near) == (0, len(hit))
        assert f"{len(hit)} of {len(warned.holdout)} holdout rows" in next(
            one.message for one in prepared.summary.findings if one.check == "leakage"
        )
