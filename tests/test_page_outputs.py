"""What the pages show of a command that trains nothing is what the command prints."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import main
from support.pages import DOCS, code, outputs, pattern, shown
from support.paths import ROOT

KEY = "d8ec01f9573c6d9297f025fe1a8a7686a7f2525a8f32f16904bd0be21f1ec5e3"
SHARE = "how-to/share-settings-between-recipes"
LATER = "how-to/add-rows-later"
REVIEW = "how-to/review-a-recipe-change"
START = "how-to/start-from-your-data"
CLASSES = "how-to/gate-on-per-class-f1"
TUTORIAL = "tutorial/first-recipe"


@pytest.fixture
def printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Run a command of a page in a folder of its own, and return all that it prints."""
    for name, value in {"COLUMNS": "100", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    git("init", "-q", "-b", "main")

    def run(words: str) -> str:
        capfd.readouterr()
        main(
            [
                word
                for part in words.split()[1:]
                for word in (sorted(map(str, Path().glob(part))) if "*" in part else [part])
            ]
        )
        out, err = capfd.readouterr()
        return out + err

    return run


def git(*words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words], check=True
    )


def tickets() -> None:
    """The project of the tutorial: its table, and its recipe as it is written first."""
    shutil.copy(ROOT / "recipes/data/tickets.csv", "tickets.csv")
    Path("tickets.yaml").write_text(code(TUTORIAL, "yaml")[0], encoding="utf-8")


def replace(path: str, *changes: tuple[str, str]) -> None:
    text = Path(path).read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path(path).write_text(text, encoding="utf-8")


def with_two_mistakes() -> None:
    tickets()
    replace("tickets.yaml", ("holdout: 60", "holdot: 60"), ("min: 0.75", "min: 75"))


def a_bound_out_of_reach() -> None:
    tickets()
    replace("tickets.yaml", ("macro_f1: {min: 0.75}", "accuracy: {min: 0.99}"))


def the_table_alone() -> None:
    tickets()
    Path("tickets.yaml").unlink()


def a_parent_and_a_recipe() -> None:
    for text in code(SHARE, "yaml"):
        path = Path(text.splitlines()[0].removeprefix("# "))
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    rows = Path("recipes/data/tickets.csv")
    rows.parent.mkdir()
    rows.write_text("text,topic\na,billing\nb,bug\n", encoding="utf-8")


def twelve_new_rows() -> None:
    """A lock that records the holdout of all rows but twelve, and then the twelve."""
    tickets()
    replace("tickets.yaml", ("train: 96", "train: all"))
    lines = Path("tickets.csv").read_text("utf-8").splitlines(keepends=True)
    Path("tickets.csv").write_text("".join(lines[:-12]), encoding="utf-8")
    main(["run", "tickets.yaml", "--until", "data"])
    Path("tickets.csv").write_text("".join(lines), encoding="utf-8")


def a_weaker_gate() -> None:
    Path("recipes").mkdir()
    tickets()
    for name in ("tickets.csv", "tickets.yaml"):
        Path(name).rename(Path("recipes", name))
    replace("recipes/tickets.yaml", ("min: 0.75", "min: 0.60"))
    git("add", "--all")
    git("commit", "-q", "-m", "before")
    replace(
        "recipes/tickets.yaml",
        ("min: 0.60", "min: 0.55"),
        ("kind: lora", "kind: lora\n  rank: 32"),
        ("train: 96", "seed: 8\n  train: 96"),
    )


COMPARED = [
    (TUTORIAL, "recipe validate tickets.yaml", 1, tickets),
    (TUTORIAL, "recipe validate tickets.yaml", 2, with_two_mistakes),
    (TUTORIAL, "recipe plan tickets.yaml", 1, tickets),
    (CLASSES, "recipe validate tickets.yaml", 1, a_bound_out_of_reach),
    (START, "recipe init tickets.csv", 1, the_table_alone),
    ("../README", "recipe init tickets.csv", 1, the_table_alone),
    (SHARE, "recipe validate shared/*.yaml recipes/*.yaml", 1, a_parent_and_a_recipe),
    (LATER, "recipe plan tickets.yaml", 1, twelve_new_rows),
    (REVIEW, "recipe diff recipes/tickets.yaml --from main", 1, a_weaker_gate),
]
OF_RUNS = {
    (TUTORIAL, "recipe data tickets.yaml"),  # its sections are, below
    (TUTORIAL, "recipe run tickets.yaml"),
    (TUTORIAL, "echo $?"),
    (TUTORIAL, 'recipe try tickets "The invoice shows VAT twice."'),
    (
        "how-to/check-recipes-in-ci",
        "recipe ci --from origin/main --output comment.md --fail-on weaker-gate",
    ),
    ("how-to/install", "recipe validate recipes/quickstart.yaml"),
    ("../README", 'uv run recipe try review-sentiment "An hour of my life I will not get back."'),
    ("../README", "recipe run headlines.yaml"),
    ("how-to/pin-what-can-move", "recipe pin tickets.yaml"),
    ("how-to/publish-a-bundle", "recipe export bundle tickets.yaml -o tickets.bundle.tar"),
    (
        "how-to/publish-a-bundle",
        f"recipe verify tickets.bundle.tar --model model-Q4_K_M.gguf --key {KEY}",
    ),
    ("how-to/publish-a-model", "recipe publish tickets --to hub --name team/tickets"),
    ("how-to/reproduce-a-model", "recipe run tickets.yaml"),
    ("how-to/reproduce-a-model", "recipe run tickets.yaml --frozen"),
    ("how-to/share-a-store", "recipe run tickets.yaml"),
    ("how-to/ship-a-baseline", "recipe run tickets.yaml"),
    ("how-to/ship-a-baseline", "recipe export baseline tickets.yaml --baseline tfidf_svm"),
}
"""Shown outputs that take a finished run, the hub or other people's digests.

What a tiny run can show of them `tests/functional/report/test_shown_on_pages.py` compares.
"""


@pytest.mark.parametrize(("page", "words", "which", "prepare"), COMPARED)
def test_a_page_shows_what_the_command_prints(
    page: str,
    words: str,
    which: int,
    prepare: Callable[[], None],
    printed: Callable[[str], str],
) -> None:
    prepare()

    found = printed(words)

    assert re.fullmatch(pattern(shown(page, words, which)), found), found


DEFAULTS = "explanation/defaults"
POWER = "how-to/how-much-data"


@pytest.mark.parametrize(
    ("page", "options", "change"),
    [
        (DEFAULTS, " --explain", {"method": {"kind": "lora"}}),
        (
            POWER,
            "",
            {
                "splits": {"train": 400, "validation": 100, "holdout": 300},
                "acceptance": {
                    "metrics": {"macro_f1": {"min": 0.8}},
                    "over_baselines": {"macro_f1": {"min_gain": 0.05}},
                },
            },
        ),
    ],
)
def test_a_page_shows_lines_of_a_plan(
    page: str, options: str, change: dict[str, Any], printed: Callable[[str], str]
) -> None:
    """The first block of text of a page, however the plan is laid out around it."""
    tickets()
    recipe = yaml.safe_load(Path("tickets.yaml").read_text("utf-8"))
    Path("tickets.yaml").write_text(yaml.safe_dump(recipe | change), encoding="utf-8")
    rows = Path("tickets.csv").read_text("utf-8").splitlines()
    more = [
        f"{line.partition(',')[0]} {n},{line.partition(',')[2]}" for n in range(5) for line in rows
    ]
    Path("tickets.csv").write_text("\n".join([rows[0], *more[1:]]), encoding="utf-8")

    found = printed(f"recipe plan tickets.yaml{options}")

    assert " ".join(code(page, "text")[0].split()) in " ".join(found.split())


def test_every_output_of_a_command_is_compared_or_named_as_one_that_is_not() -> None:
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    pages.add("../README")
    shows = {(page, words) for page in pages for words, _ in outputs(page)}

    assert shows == {(page, words) for page, words, *_ in COMPARED} | OF_RUNS


def test_the_draft_of_the_page_is_the_one_that_is_written(printed: Callable[[str], str]) -> None:
    the_table_alone()

    printed("recipe init tickets.csv")

    assert Path("tickets.yaml").read_text("utf-8") == code(START, "yaml")[0]


def sections(text: str) -> Iterator[tuple[str, str]]:
    """The parts of what `recipe data` prints, by their titles."""
    for part in text.split("\n\n"):
        title, _, lines = part.partition("\n")
        yield title, lines


def test_the_rows_of_the_tutorial_are_those_that_data_shows(printed: Callable[[str], str]) -> None:
    """All but what takes the base model's tokenizer, which is not on every machine."""
    tickets()
    shows = dict(sections(shown(TUTORIAL, "recipe data tickets.yaml")))

    found = dict(sections(printed("recipe data tickets.yaml --no-tokens")))

    same = {title for title in found if shows.get(title) == found[title]}
    assert same >= {"sources", "checks", "splits", "firewall", "training"}
    assert len(shows) == len(found)
