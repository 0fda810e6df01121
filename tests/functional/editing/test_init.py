"""`recipe init DATAFILE`: for each shape of data a valid recipe whose data stage accepts the rows."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.project import THINGS, Outcome, rows

pytestmark = pytest.mark.thorough

Run = Callable[..., Outcome]
MOST_LINES = 25


def sentences(count: int) -> list[str]:
    return [text for text, _ in rows(count)]


def table(path: Path, lines: list[tuple[Any, ...]], *, delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(lines)


def json_lines(path: Path, values: list[Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def classes(path: Path) -> None:
    table(path, [("id", "text", "mood"), *((n, t, m) for n, (t, m) in enumerate(rows(200)))])


def no_header(path: Path) -> None:
    table(path, [(label, text) for text, label in rows(200)], delimiter="\t")


def scale(path: Path) -> None:
    draw = random.Random(1)
    json_lines(
        path, [{"stars": round(draw.uniform(-4, 4), 2), "review": t} for t in sentences(200)]
    )


def several(path: Path) -> None:
    draw = random.Random(1)
    tags = ["plot", "cast", "music", "camera"]
    values = [{"text": t, "tags": draw.sample(tags, draw.randint(1, 3))} for t in sentences(200)]
    json_lines(path, values)


def joined(path: Path) -> None:
    draw = random.Random(1)
    tags = ["plot", "cast", "music", "camera"]
    lines = [(t, ";".join(draw.sample(tags, draw.randint(1, 3)))) for t in sentences(200)]
    table(path, [("text", "tags"), *lines])


def fields(path: Path) -> None:
    draw = random.Random(1)
    found: dict[str, tuple[Any, ...]] = {}
    while len(found) < 150:
        count, thing, place = (
            draw.randint(2, 900),
            draw.choice(THINGS),
            draw.choice(["Bonn", "Oslo", "Lima"]),
        )
        text = f"please send {count} of the {thing} to {place} before noon"
        found[text] = (text, count, thing, place)
    table(path, [("message", "count", "thing", "place"), *found.values()])


def marked(path: Path) -> None:
    values = []
    for number, text in enumerate(sentences(150)):
        start = text.index("was")
        spans = [{"name": "verb", "at": {"start": start, "end": start + 3}}]
        values.append({"id": number, "said": {"text": text}, "labels": spans})
    path.write_text(json.dumps({"rows": values}), encoding="utf-8")


def answers(path: Path) -> None:
    json_lines(path, [{"question": t, "answer": t.upper()} for t in sentences(200)])


def chats(path: Path) -> None:
    json_lines(
        path,
        [
            {
                "messages": [
                    {"role": "user", "content": t},
                    {"role": "assistant", "content": t[::-1]},
                ]
            }
            for t in sentences(120)
        ],
    )


def speakers(path: Path) -> None:
    json_lines(
        path,
        [
            {
                "turns": [
                    {"speaker": "GUEST", "utterance": t},
                    {"speaker": "DESK", "utterance": t[::-1]},
                ]
            }
            for t in sentences(120)
        ],
    )


def prompts(path: Path) -> None:
    json_lines(
        path,
        [
            {
                "input": [{"role": "system", "content": "1 or 0?"}, {"role": "user", "content": t}],
                "ideal": str(int(m == "positive")),
            }
            for t, m in rows(160)
        ],
    )


def lines(path: Path) -> None:
    path.write_text("\n\n".join(sentences(200)) + "\n", encoding="utf-8")


def parts(path: Path) -> None:
    found = [[text, label] for text, label in rows(200)]
    path.write_text(json.dumps({"train": found[:140], "val": found[140:160], "test": found[160:]}))


def many(path: Path) -> None:
    names = [f"the_customer_asks_about_{number}" for number in range(77)]
    found = [(f"{t} for {n} of us", names[n % 77]) for n, t in enumerate(sentences(77 * 12))]
    table(path, [("text", "intent"), *found])


def wide(path: Path) -> None:
    draw = random.Random(1)
    names = [f"part_{number}" for number in range(30)]
    values = [[f"{draw.choice(THINGS)}{number}" for number in range(30)] for _ in range(120)]
    table(path, [("message", *names), *((" ".join(row), *row) for row in values)])


def pieces(path: Path) -> None:
    found = [{"text": t, "mood": m} for t, m in rows(260)]
    keys = [f"{part}_{n}" for n in range(4) for part in ("train", "train_more", "val", "test")]
    path.write_text(json.dumps({key: found[n * 16 :][:16] for n, key in enumerate(keys)}))


def spellings(path: Path) -> None:
    shapes = (str.upper, str.title, " {} ".format, "{} ".format, str.swapcase)
    found = [(t, shapes[n % 5](m)) for n, (t, m) in enumerate(rows(240))]
    table(path, [("what was: said?", "yes", "{a}"), *((t, m, n) for n, (t, m) in enumerate(found))])


def answer_pairs(path: Path) -> None:
    pairs = zip(sentences(120), sentences(240)[120:], strict=True)
    asked = ((f"What of {n}?", *pair) for n, pair in enumerate(pairs))
    json_lines(path, [{"prompt": p, "chosen": one, "rejected": two} for p, one, two in asked])


def thumbs(path: Path) -> None:
    asked = ((f"What of {n}?", text, n % 3 > 0) for n, text in enumerate(sentences(120)))
    json_lines(path, [{"prompt": p, "completion": text, "label": up} for p, text, up in asked])


FILES: list[tuple[str, Callable[[Path], None], str, dict[str, Any]]] = [
    ("moods.csv", classes, "classification", {"task.labels": ["negative", "positive"]}),
    ("SMS", no_header, "classification", {"data.sources.0.header": ["label", "text"]}),
    ("stars.jsonl", scale, "classification", {"task.labels": ["negative", "positive"], "task.input": "{review}"}),
    ("tags.jsonl", several, "multilabel", {"task.labels": ["camera", "cast", "music", "plot"]}),
    ("joined.csv", joined, "multilabel", {"data.label.separator": ";"}),
    ("orders.csv", fields, "extraction", {"task.schema.properties.count": {"type": "integer"}}),
    ("marked.json", marked, "extraction", {"data.answer.spans.start": "at.start", "data.answer.spans.of": "said.text"}),
    ("faq.jsonl", answers, "generation", {"data.answer.column": "answer", "task.input": "{question}"}),
    ("chats.jsonl", chats, "chat", {}),
    ("desk.jsonl", speakers, "chat", {"data.messages.roles": {"GUEST": "user", "DESK": "assistant"}}),
    ("prompts.jsonl", prompts, "classification", {"task.input": "{input.1.content}", "task.labels": ["0", "1"]}),
    ("prose.txt", lines, "text", {"data.checks.empty": "drop"}),
    ("pairs.jsonl", answer_pairs, "preference", {"acceptance.metrics.preference_accuracy": {"min": 0.6}}),
    ("thumbs.jsonl", thumbs, "preference", {"method.preference": {"loss": "kto"}}),
    ("many.csv", many, "classification", {"task.labels.76": "the_customer_asks_about_9", "method.max_length": 1024}),
    ("wide.csv", wide, "extraction", {"data.answer.fields.part_29": "part_29"}),
    ("pieces.json", pieces, "classification", {"data.sources.15.into": "holdout"}),
    ("yes: 'no' #1.csv", spellings, "classification", {"task.input": "{what was: said?}", "data.label.column": "yes"}),
    ("parts.json", parts, "classification", {"splits.by": "files", "data.sources.2.into": "holdout"}),
]  # fmt: skip


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part) if part.isdigit() else part]
    return value


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "write", "kind", "says"), FILES, ids=[file[0] for file in FILES])
def test_each_shape_of_data_gets_a_recipe_that_works(
    folder: Path,
    run: Run,
    name: str,
    write: Callable[[Path], None],
    kind: str,
    says: dict[str, Any],
) -> None:
    write(folder / name)

    outcome = run("init", name, "-o", "draft.yaml")

    assert outcome.code == 0, outcome.err
    text = (folder / "draft.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    value = yaml.safe_load(text)
    assert value["task"]["kind"] == kind
    assert {path: at(value, path) for path in says} == says
    assert run("validate", "draft.yaml").err == ""
    assert run("fmt", "draft.yaml").code == 0
    assert yaml.safe_load((folder / "draft.yaml").read_text(encoding="utf-8")) == value
    data = run("data", "--no-tokens", "draft.yaml")
    assert data.code == 0, data.err
    assert "  kind  " in outcome.out
    assert "next: recipe validate draft.yaml && recipe data draft.yaml" in outcome.out


def test_what_is_stated_is_not_guessed(folder: Path, run: Run) -> None:
    lines = [
        ("note", "remark", "a", "b"),
        *((t, t[::-1], m, "xy"[len(t) % 2]) for t, m in rows(200)),
    ]
    table(folder / "rows.csv", lines)

    outcome = run(
        "init", "rows.csv", "--kind", "classification", "--text", "remark", "--label", "b",
        "--base-model", f"owner/model@{'a' * 40}", "-o", "sub/mine.yaml",
    )  # fmt: skip

    value = yaml.safe_load((folder / "sub" / "mine.yaml").read_text(encoding="utf-8"))
    assert outcome.code == 0, outcome.err
    assert (value["task"]["input"], value["data"]["label"]["column"]) == ("{remark}", "b")
    assert value["data"]["sources"] == [{"path": "../rows.csv"}]
    assert value["base_model"] == {"hub": "owner/model", "revision": "a" * 40}
    assert run("validate", "sub/mine.yaml").err == ""


def test_what_a_check_would_refuse_is_reported_in_the_recipe(folder: Path, run: Run) -> None:
    found = rows(200)
    lines = [
        *found,
        *((text, "positive" if label == "negative" else "negative") for text, label in found[:5]),
    ]
    table(folder / "rows.csv", [("text", "label"), *lines])

    outcome = run("init", "rows.csv")

    value = yaml.safe_load((folder / "rows.yaml").read_text(encoding="utf-8"))
    assert value["data"]["checks"]["conflicting_labels"] == "drop"
    assert "checks.conflicting_labels  drop" in outcome.out
    assert run("data", "--no-tokens", "rows.yaml").code == 0


def test_labels_spelled_in_several_ways_become_one(folder: Path, run: Run) -> None:
    found = [
        (text, label.upper() if n % 9 == 0 else label) for n, (text, label) in enumerate(rows(200))
    ]
    table(folder / "rows.csv", [("text", "label"), *found])

    run("init", "rows.csv")

    value = yaml.safe_load((folder / "rows.yaml").read_text(encoding="utf-8"))
    assert value["data"]["label"]["relabel"] == {"NEGATIVE": "negative", "POSITIVE": "positive"}
    assert run("data", "--no-tokens", "rows.yaml").code == 0


def test_no_file_is_ever_overwritten(folder: Path, run: Run) -> None:
    classes(folder / "moods.csv")
    (folder / "moods.yaml").write_text("mine\n", encoding="utf-8")

    outcome = run("init", "moods.csv")

    assert (outcome.code, "R005" in outcome.err) == (2, True)
    assert (folder / "moods.yaml").read_text(encoding="utf-8") == "mine\n"


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        ("a,b\n1,2\n3,4\n5,6\n7,8\n", (), "R030"),
        ("text,label\nx,y\nz,y\nu,v\nw,v\n", ("--text", "txet"), "R030"),
        ("text;label\nx;y\nz;y\n", (), "there are 2"),
        ("", (), "D321"),
        ("\ufeff", (), "D321"),
        ("text,label\n", (), "D321"),
        ("text,label\nA good film of 1957,good\n", (), "there are 1"),
        ("text,label\n" + "The very same film,good\n" * 60, (), "R030"),
        ("label\n" + "a\nb\n" * 30, (), "no column holds text"),
        ("note\n" + "a\nb\n" * 30, (), "4 rows are needed"),
        (
            "text,label\n" + "".join(f"Film number {n},good\n" for n in range(60)),
            ("--kind", "classification", "--label", "label"),
            "`label` says the same in every row",
        ),
    ],
)
def test_where_nothing_can_be_guessed_nothing_is_written(
    folder: Path, run: Run, content: str, words: tuple[str, ...], code: str
) -> None:
    (folder / "rows.csv").write_text(content, encoding="utf-8")

    outcome = run("init", "rows.csv", *words)

    assert outcome.code != 0
    assert code in outcome.err
    assert not (folder / "rows.yaml").exists()


def test_another_encoding_is_asked_for_and_taken(folder: Path, run: Run) -> None:
    found = "".join(f"{text} в кафе,{label}\n" for text, label in rows(200))
    (folder / "rows.csv").write_bytes(f"text,label\n{found}".encode("cp1251"))

    refused = run("init", "rows.csv")
    outcome = run("init", "rows.csv", "--encoding", "cp1251")

    assert (refused.code, "name its encoding, as in --encoding" in refused.err) == (3, True)
    assert outcome.code == 0, outcome.err
    assert run("validate", "rows.yaml").err == ""


def test_why_a_column_is_no_label_is_reported(folder: Path, run: Run) -> None:
    lines = [(t, "x", "" if n % 3 else "ab"[n % 2]) for n, t in enumerate(sentences(90))]
    table(folder / "rows.csv", [("text", "label", "topic"), *lines])

    outcome = run("init", "rows.csv")

    assert "note: `label` says the same in every row, so it is no label" in outcome.out
    assert "note: `topic` is empty in 60 rows; --label topic takes the others" in outcome.out


def test_pins_can_be_filled_into_a_draft(folder: Path, run: Run) -> None:
    classes(folder / "moods.csv")
    run("init", "moods.csv")

    assert run("pin", "moods.yaml").code == 0
    assert run("fmt", "moods.yaml").code == 0
    value = yaml.safe_load((folder / "moods.yaml").read_text(encoding="utf-8"))
    assert len(value["data"]["sources"][0]["sha256"]) == 64
    assert run("data", "--no-tokens", "moods.yaml").code == 0


def test_a_hostile_file_is_refused_as_a_run_would(folder: Path, run: Run) -> None:
    (folder / "deep.json").write_text("[" * 100_000, encoding="utf-8")

    outcome = run("init", "deep.json")

    assert outcome.code == 3
    assert "deep.json:1  D32" in outcome.err


def test_a_column_of_splits_is_no_label(folder: Path, run: Run) -> None:
    lines = [
        ("text", "query-split"),
        *((t, ("train", "test")[n % 2]) for n, t in enumerate(sentences(90))),
    ]
    table(folder / "rows.csv", lines)

    assert "  kind        text " in run("init", "rows.csv").out


def test_probes_are_not_taken_for_training_rows(folder: Path, run: Run) -> None:
    json_lines(
        folder / "p.jsonl", [{"query": t, "choices": ["a", "b"], "gold": 1} for t in sentences(9)]
    )

    assert "acceptance.forgetting.probes" in run("init", "p.jsonl").err


@pytest.mark.usefixtures("folder")
def test_a_shipped_recipe_is_still_copied(run: Run) -> None:
    assert run("init", "quickstart").out.startswith("wrote quickstart.yaml\n")
