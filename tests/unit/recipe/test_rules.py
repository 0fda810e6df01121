"""Every rule finds its own wrong example at the marked place, and nothing in the right one."""

import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from engine.codes import all_codes
from engine.errors import Problem
from engine.recipe import check_recipe
from support.paths import EXAMPLES, ROOT

MARK: Final = "▸"
BASES: Final = {
    "classification": "minimal",
    "extraction": "extraction_from_columns",
    **{kind: kind for kind in ("multilabel", "generation", "chat", "text", "preference")},
}
"""The valid recipe of each kind of task, over which an example of a rule is laid."""
PAGES: Final = {code: page for code, page in all_codes().items() if page.wrong or code == "R256"}
BESIDE: Final = {"R303": {"R302"}, "R308": {"R307"}}
"""What is reported besides: a path of one machine is not there, a key goes where rows go."""
UNMARKED: Final = {"R126", "R246"}
"""What is missing has no place in the example."""
NEEDS_A_LINK: Final = {"R256"}
ALONE: Final = {"R201", "R320", "R368", "R380", "R396", "R453"}
"""Right examples of another kind of task; any other one says what changes of the wrong one."""
OWN_WORDS: Final = {
    "R204": "`rank` describes an adapter",
    "R338": "kto cannot learn from pairs; write `loss: dpo`",
    "R339": "orpo has no `answer_weight`; dpo and ipo and simpo have",
    "R364": "width 128 is no even multiple of 6 heads; write `width: 132`",
    "R366": "rows of 256 tokens do not fit a context of 128; write `max_length: 128`",
    "R369": "layer 2 comes after layer 4; write `keep_layers: [0, 2, 4]`",
    "R400": "write 128",
    "R418": "at least 1 of all rows are answered right",
    "R419": "20 validation rows are too few: 50 are needed",
}
"""Numbers and edits of the recipe that a problem names, beyond the words of its page."""

Tree = dict[str, tuple[str, "Tree | list[str]"]]
"""Key: its line, and the mapping or the lines below it."""


def tree(lines: list[str]) -> Tree:
    """Return the mapping that some lines of YAML hold; `# no KEY` is a key too."""
    found: Tree = {}
    depth = len(lines[0]) - len(lines[0].lstrip())
    starts = [number for number, line in enumerate(lines) if line[depth] not in " -"]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        line, below = lines[start], lines[start + 1 : end]
        key = line.strip().removeprefix(MARK)
        name = key if key.startswith("# no ") else key.partition(":")[0]
        is_mapping = bool(below) and not below[0].lstrip().startswith("-")
        found[name] = (line, tree(below) if is_mapping else below)
    return found


def overlay(base: Tree, part: Tree) -> Tree:
    """Return `base` with what `part` says in its place."""
    merged = dict(base)
    for name, (line, below) in part.items():
        known = merged.get(name, ("", []))[1]
        if name.startswith("# no "):
            merged.pop(name.removeprefix("# no "), None)
        elif isinstance(known, dict) and isinstance(below, dict):
            merged[name] = (line, overlay(known, below))
        else:
            merged[name] = (line, below)
    return merged


def lines_of(found: Tree) -> list[str]:
    lines = []
    for line, below in found.values():
        lines += [line, *(lines_of(below) if isinstance(below, dict) else below)]
    return lines


def problems_of(part: str, folder: Path, *, over: str = "") -> tuple[list[Problem], str]:
    """Return what is wrong with an example, laid over another one, and the place that it marks; empty for none."""
    kind = re.match(r"▸?task:\n  kind: (\w+)", over or part)
    name = BASES[kind[1] if kind else "classification"]
    whole = tree((EXAMPLES / "valid" / f"{name}.yaml").read_text("utf-8").splitlines())
    for one in filter(None, (over.replace(MARK, ""), part)):
        whole = overlay(whole, tree(one.splitlines()))
    text = "\n".join(lines_of(whole))
    marked = [
        f"{number}:{line.index(MARK) + 1}"
        for number, line in enumerate(text.split("\n"), start=1)
        if MARK in line
    ]
    file = folder / "valid" / "example.yaml"
    file.write_text(text.replace(MARK, ""), encoding="utf-8")
    return list(check_recipe(file)[1]), "".join(marked)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    for name in ("data", "parents"):
        shutil.copytree(EXAMPLES / name, folder / name)
    (folder / "valid").mkdir()
    return folder


def test_every_rule_has_an_example() -> None:
    without = {code for code, page in PAGES.items() if not (page.wrong and page.right)}

    assert without == NEEDS_A_LINK


def test_every_code_that_a_rule_reports_has_a_page() -> None:
    sources = (ROOT / "engine" / "recipe" / "rules").glob("*.py")
    used = {code for path in sources for code in re.findall(r'"(R\d{3})"', path.read_text("utf-8"))}

    assert used - {"R105", "R106"} <= set(all_codes())


@pytest.mark.parametrize("code", sorted(set(PAGES) - NEEDS_A_LINK))
def test_a_rule_finds_its_wrong_example(code: str, folder: Path) -> None:
    problems, place = problems_of(PAGES[code].wrong, folder)
    reported = {problem.code: problem.place for problem in problems}

    assert code in reported
    assert set(reported) - {code} == BESIDE.get(code, set())
    spot = reported[code]
    assert spot is not None
    assert place == f"{spot.line}:{spot.column}" or code in UNMARKED
    words = "; ".join(
        f"{problem.message}; {problem.hint}" for problem in problems if problem.code == code
    )
    assert OWN_WORDS.get(code, "") in words


@pytest.mark.sampled(4)
@pytest.mark.parametrize("code", sorted(set(PAGES) - NEEDS_A_LINK))
def test_a_rule_follows_the_rules_of_wording(code: str, folder: Path) -> None:
    for problem in problems_of(PAGES[code].wrong, folder)[0]:
        assert problem.message[0] in "`{$" or problem.message[0] == problem.message[0].lower()
        assert not problem.message.endswith((".", "!"))
        assert not re.search(r"please|invalid|exclusiveMinimum|(?<!task\.)schema", problem.message)


@pytest.mark.parametrize("code", sorted(set(PAGES) - NEEDS_A_LINK))
def test_a_rule_is_silent_about_its_right_example(code: str, folder: Path) -> None:
    over = "" if code in ALONE else PAGES[code].wrong

    assert problems_of(PAGES[code].right, folder, over=over)[0] == []


@pytest.mark.parametrize(
    ("sign", "message"),
    [
        ("\\n", "is more than one line of text"),
        ("\\u2028", "is more than one line of text"),
        ("\\a", "holds the control character U+0007"),
        ("\\t", "holds the control character U+0009"),
    ],
)
def test_a_label_that_is_no_line_is_refused_for_what_it_holds(
    folder: Path, sign: str, message: str
) -> None:
    found = problems_of(f'task:\n  labels: [billing, "b{sign}g"]', folder)[0]

    assert [message in problem.message for problem in found if problem.code == "R211"] == [True]
