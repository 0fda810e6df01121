"""Lists in pages and docstrings that name everything there is, checked against the code."""

import ast
import re
import runpy
import tomllib
from pathlib import Path

import engine
from engine.codes import all_codes
from engine.recipe.validation.schema import recipe_schema, walk
from engine.stages import STAGES
from support.paths import ROOT

ENGINE = ROOT / "engine"
PAGES = ["README.md", *(one.relative_to(ROOT).as_posix() for one in ROOT.glob("docs/**/*.md"))]
PACKAGES = {one.name for one in ENGINE.iterdir() if one.is_dir() and one.name != "__pycache__"}
SCORING = {"scoring", "comparing", "sweeping", "learning", "paired", "general_text"}
"""Modules whose functions make scores of predictions."""
READERS = {"rows_without_labels", "named_metrics"}
"""What only looks scores up, or makes none."""


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def in_code(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def row_of(term: str) -> str:
    (row,) = re.findall(rf"^\| {term} \|.*$", page("docs/reference/glossary.md"), re.MULTILINE)
    return str(row)


def test_the_tree_names_every_package() -> None:
    tree = between(page("docs/explanation/architecture.md"), "\nengine/", "\ntests/")

    assert set(re.findall(r"(\w+)/", tree)) - {"baselines"} == PACKAGES


def test_the_tree_names_every_folder_of_tests() -> None:
    line = between(page("docs/explanation/architecture.md"), "\ntests/", "\n")
    folders = {one.name for one in (ROOT / "tests").iterdir() if one.is_dir()} - {"__pycache__"}

    assert set(re.findall(r"\w+", line)) == folders


def test_the_package_names_every_package_in_its_docstring() -> None:
    assert in_code(engine.__doc__ or "") >= PACKAGES


def test_the_architecture_names_every_layer() -> None:
    contracts = tomllib.loads(page("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = {name for line in contracts[0]["layers"] for name in line.split(" | ")}

    named = in_code(between(page("docs/explanation/architecture.md"), "## Layers", "\n## "))

    assert layers - named == set()


def test_the_glossary_and_the_package_name_the_stages_in_order() -> None:
    listed = row_of("stage").partition(": ")[2].partition(".")[0].split(", ")
    (words,) = re.findall(r"stages: (.*?); then", (engine.__doc__ or "").replace("\n", " "))

    assert tuple(listed) == STAGES
    assert tuple(re.findall(r"\w+", words)) == STAGES


def test_the_readme_is_short_and_gives_two_commands() -> None:
    text = page("README.md")

    assert len(text.split()) <= 1000
    assert (
        "$ pip install uv && uv run recipe run recipes/quickstart.yaml\n$ uv run pytest\n" in text
    )


def test_the_page_of_reviews_names_every_code_of_a_weaker_gate() -> None:
    pages = page("docs/how-to/review-a-recipe-change.md") + page(
        "docs/how-to/check-recipes-in-ci.md"
    )
    ranges = re.findall(r"W(\d{3}) to W(\d{3})", pages)
    named = {f"W{code}" for first, last in ranges for code in range(int(first), int(last) + 1)}

    codes = {code for code in all_codes() if code.startswith("W")}

    assert codes - named - set(re.findall(r"W\d{3}", pages)) == set()


def test_the_page_of_checks_has_a_row_for_each() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page("docs/how-to/check-your-data.md"), re.MULTILINE)
    keys = {
        path[2] for path, _ in walk(recipe_schema()) if path[:2] == ("data", "checks") and path[2:]
    }

    assert sorted(rows) == sorted(keys)


def test_extras_of_the_pages_are_there() -> None:
    named = re.findall(r"slm-recipe\[([\w,]+)\]", "".join(map(page, PAGES)))
    extras = tomllib.loads(page("pyproject.toml"))["project"]["optional-dependencies"]

    assert {extra for some in named for extra in some.split(",")} - extras.keys() == set()


def imported(path: Path, *, deep: bool) -> set[str]:
    """The modules that make scores of those which a module imports, and with `deep` those of what it shares."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        parts, names = node.module.split("."), {one.name for one in node.names} - READERS
        if parts[1:2] in (["metrics"], ["inference"]) and parts[-1] in SCORING:
            found |= {parts[-1]} if names else set()
        if deep and parts[1:2] in (["training"], ["parity"]):
            for one in [parts, *([*parts, name] for name in names)] if names else ():
                file = ROOT.joinpath(*one).with_suffix(".py")
                found |= imported(file, deep=False) if file.exists() else set()
    return found


def test_the_page_of_a_metric_names_every_stage_that_leaves_scores() -> None:
    """Whoever changes a metric raises their `REVISION`; of one that is missed, scores of the old code are reused."""
    bullet = between(page("docs/extending/metric.md"), "- Bump `REVISION`", "Predictions are")
    making = {name for name in STAGES if imported(ENGINE / "stages" / f"{name}.py", deep=True)}

    assert in_code(bullet) >= making
    assert in_code(bullet) <= set(STAGES)


def test_the_benchmark_of_checks_for_faults_names_functions_that_exist() -> None:
    timed = runpy.run_path(str(ROOT / "benchmarks" / "looks.py"))
    named = {(module, name) for module, (_, names) in timed["LOOKS"].items() for name in names}
    named |= {(module, name) for module, names in timed["KEPT"].items() for name in names}
    defined = set[tuple[str, str]]()
    for module in {module for module, _ in named}:
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_bytes())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                inner = [one.name for one in node.body if isinstance(one, ast.FunctionDef)]
                names = [node.name, *(f"{node.name}.{name}" for name in inner)]
                defined |= {(module, name) for name in names}

    assert named - defined == set()
