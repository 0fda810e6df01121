"""What the documents say is true of the code: recipes, commands, links, generated pages, the rerun table."""

import argparse
import ast
import importlib
import importlib.util
import json
import re
import shlex
import textwrap
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.cli.main import main
from engine.cli.verbs import VERBS, declare
from engine.errors import Problem
from engine.kinds import KINDS
from engine.recipe import check_recipe
from engine.recipe.resolve import check_parent
from support.golden import Golden
from support.paths import GOLDEN, ROOT

DOCS = ROOT / "docs"
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
PAGES = [ROOT / name for name in (*ROOT_PAGES, "benchmarks/README.md", "news/README.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
PAGES.append(ROOT / "engine/cli/SKILL.md")
TUTORIAL = ROOT / "docs" / "tutorial" / "first-recipe.md"

BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", flags=re.MULTILINE | re.DOTALL)
"""A block of code: how far it is indented, in which language, and its lines; `yaml fragment` is yaml."""
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OF_EVERY_KIND = {"share-settings-between-recipes.md"}
"""Pages whose recipes happen to be of one kind, and which are about all."""
KIND = re.compile(r"^ *(?:task: {)?kind: (\w+)", flags=re.MULTILINE)
SECTION = re.compile(r"^(?=[a-z_]+:)", flags=re.MULTILINE)
MISSING_FILES = {"R302", "R250"}
USERS_WORD = {"R306", "R307", "R308"}
"""What a recipe of the pages says is outside its project: nobody has allowed it here."""


def code_of(page: Path) -> list[tuple[str, str]]:
    """Language and lines of every block of a page."""
    return [
        (kind, textwrap.dedent(text)) for _, kind, text in BLOCK.findall(page.read_text("utf-8"))
    ]


def blocks(language: str) -> list[Any]:
    """Every block of a language, with the page and number in its id."""
    found = []
    for page in PAGES:
        texts = [text for kind, text in code_of(page) if kind == language]
        name = page.relative_to(ROOT).as_posix()
        found += [pytest.param(text, id=f"{name}:{place}") for place, text in enumerate(texts, 1)]
    return found


def sections(text: str) -> dict[str, str]:
    """The text of each top-level key, with the comments before the first one left out."""
    return {
        part.split(":", 1)[0]: part for part in SECTION.split(text) if re.match(r"[a-z_]+:", part)
    }


def named_files() -> dict[str, str]:
    """Blocks that begin with the name of their file, by that name: parents, and those who extend them."""
    return {
        name[1]: block.values[0]
        for block in blocks("yaml")
        if (name := re.match(r"# ([\w/-]+\.yaml)\n", block.values[0]))
    }


def problems_of(text: str, folder: Path) -> tuple[Problem, ...]:
    files = named_files()
    name = next((name for name, found in files.items() if found == text), "recipe.yaml")
    for file, content in (files | {name: text}).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content, encoding="utf-8")
    path = folder / name
    if name in files and "\nname:" not in text:
        return check_parent(path).problems
    return tuple(
        problem
        for problem in check_recipe(path)[1]
        if problem.code not in MISSING_FILES | USERS_WORD
    )


def whole(fragment: str) -> str:
    """A recipe: the tutorial's, with the sections of a fragment in place of its own."""
    base = next(text for kind, text in code_of(TUTORIAL) if kind == "yaml")
    return "\n".join({**sections(base), **sections(fragment)}.values())


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_recipe_and_fragment_is_as_right_or_wrong_as_it_says(
    text: str, tmp_path: Path
) -> None:
    wrong = re.match(r"# wrong: (\w\d{3})\n", text)
    recipe = text if re.search(r"^recipe: v1$", text, flags=re.MULTILINE) else whole(text)

    codes = {problem.code for problem in problems_of(recipe, tmp_path)}

    assert codes == ({wrong[1]} if wrong else set())


def test_a_page_about_one_kind_of_task_names_no_key_that_it_refuses() -> None:
    """Of a page whose whole recipes are of one kind, each key that it names in a sentence."""
    keys = {key for kind in KINDS.values() for key in kind.reads}
    wrong = []
    for page in PAGES:
        kinds = {
            found[1]
            for language, text in code_of(page)
            if language == "yaml" and "recipe: v1" in text and (found := KIND.search(text))
        }
        if len(kinds) == 1 and page.name not in OF_EVERY_KIND:
            named = set(
                re.findall(r"`((?:task|data)\.[a-z_.]+)", BLOCK.sub("", page.read_text("utf-8")))
            )
            refused = (named & keys) - set(KINDS[kinds.pop()].reads)
            wrong += [(page.name, key) for key in refused]

    assert wrong == []


def commands() -> list[Any]:
    """Every line of a console block that calls `recipe VERB`."""
    found = []
    for block in blocks("console"):
        for line in re.findall(r"^\$ (.*)$", block.values[0], flags=re.MULTILINE):
            words = re.findall(r"(?:^|&& |uv run |\w=\S+ )recipe ([^&|>]+)", line)
            found += [pytest.param(call, id=f"{block.id}:{call}") for call in words]
    return found


def verb_parser(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    declare(parser, VERBS[verb].arguments)
    return parser


@pytest.mark.parametrize("call", commands())
def test_every_command_in_the_documents_parses(call: str) -> None:
    verb, *arguments = shlex.split(call, comments=True)

    assert verb in VERBS
    assert verb_parser(verb).parse_args(arguments)


@pytest.mark.parametrize("text", blocks("json"))
def test_every_block_of_json_is_json(text: str) -> None:
    assert json.loads(text)


@pytest.mark.parametrize("text", blocks("python"))
def test_every_block_of_python_is_python(text: str) -> None:
    assert ast.parse(text).body


def test_every_block_says_its_language_and_ends() -> None:
    known = {"yaml", "console", "text", "json", "python", "diff"}

    found = {
        (page.name, language)
        for page in PAGES
        for language in re.findall(r"^ *```(.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    }

    assert {one for one in found if one[1] not in known} == set()


def test_commands_and_blocks_were_found() -> None:
    assert len(commands()) > 20
    assert len(blocks("yaml")) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    local = [link for link in LINK.findall(text) if "://" not in link]

    broken = [link for link in local if not leads_somewhere(page, link)]

    assert broken == []


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if DOCS in page.parents and DOCS not in target.parents:
        return False  # the site is built from docs/ alone
    if not target.exists() or target.suffix == ".png":
        return target.exists()
    titles = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    return not anchor or anchor in slugs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_of_the_repository_are_there(page: Path) -> None:
    """Those in commands too."""
    folders = "engine|tests|docs|schemas|benchmarks"
    named = re.findall(
        rf"(?<![\w./-])((?:{folders})/[\w./-]*\w)(?![\w*<{{])", page.read_text("utf-8")
    )

    missing = [path for path in named if not (ROOT / path).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_name_stands_in_the_file_that_a_page_names_for_it(page: Path) -> None:
    text = " ".join(page.read_text("utf-8").split())
    file = r"`((?:engine|tests|benchmarks)/[\w./-]+\.py)`"
    named = re.findall(rf"`([\w.]+)`(?: and `\w+`)? (?:in|of) {file}", text)
    named += [(name, path) for path, name in re.findall(rf"{file} \(`(\w+)`", text)]

    missing = [
        (name, path)
        for name, path in named
        if not re.search(rf"\b{name.split('.')[-1]}\b", (ROOT / path).read_text("utf-8"))
    ]

    assert missing == []


def test_every_page_is_in_the_navigation_once_and_in_the_list_of_pages() -> None:
    groups = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    named = [
        page
        for group in groups
        for pages in (group.values() if isinstance(group, dict) else ([group],))
        for page in pages
    ]
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    linked = set(LINK.findall((DOCS / "pages.md").read_text("utf-8")))

    assert sorted(named) == sorted(pages)
    assert pages - linked == {"index.md", "pages.md"}


def test_the_front_page_has_a_picture_and_leads_to_the_list_of_pages() -> None:
    text = (DOCS / "index.md").read_text("utf-8")

    assert "![" in text
    assert "pages.md" in LINK.findall(text)
    assert len(LINK.findall(text)) < 20


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current() -> None:
    module = generator()

    stale = {
        path.name for path, text in module.generated().items() if path.read_text("utf-8") != text
    }

    assert set() == stale, "run: python docs/generate.py"


def test_every_key_of_the_schema_stands_in_the_reference() -> None:
    from engine.recipe.validation.schema import recipe_schema, walk

    text = (ROOT / "docs" / "reference" / "recipe.md").read_text("utf-8")
    keys = {path[-1] for path, _ in walk(recipe_schema())} - {"[]", "*"}

    assert {key for key in keys if f"| `{key}` |" not in text} == set()


def test_every_error_code_has_a_heading_to_link_to() -> None:
    from engine.codes import all_codes

    text = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")

    assert set(all_codes()) == set(re.findall(r"^### (\w+)$", text, flags=re.MULTILINE))


def rerun_table() -> dict[str, set[str]]:
    """Changed key: stages, from the table of the architecture."""
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    table = text.split("| change | stages that get another key |")[1].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if "`" in line]
    return {
        key: set() if stages == "none" else set(stages.split(", "))
        for changes, stages in rows
        for key in re.findall(r"`([^`]+)`", changes)
    }


def checked_reruns() -> dict[str, set[str]]:
    """The same from the test that checks the keys."""
    from functional import test_reruns  # a sibling

    [mark] = test_reruns.test_a_change_reruns_what_it_can_change.pytestmark
    return {
        key.replace("__", "."): stages for change, stages in mark.args[1] for key in list(change)
    }


def test_the_rerun_table_says_what_its_test_checks() -> None:
    table = rerun_table()
    checked = {
        next((key for key in table if name.startswith(key)), name): stages
        for name, stages in checked_reruns().items()
    }

    assert checked == {key: table.get(key) for key in checked}
    # These have tests of their own.
    assert table.keys() - checked.keys() == {
        "export.after_quantization",
        "acceptance.drift",
        "acceptance.selective",
        "export.calibrate",
    }


@pytest.mark.parametrize("verb", ["recipe", *VERBS])
def test_help_texts_are_the_golden_ones(
    verb: str,
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as ended:
        main(["--help"] if verb == "recipe" else [verb, "--help"])

    assert ended.value.code == 0
    lines = filter(None, capsys.readouterr().out.splitlines())
    golden(f"help/{verb}.txt", "\n".join([*lines, ""]), by=as_words)


def as_words(text: str) -> list[str]:
    """Words without line breaks, and short options as Python 3.13 writes them."""
    return re.sub(r"(-\w) [A-Z]+, (--\w)", r"\1, \2", text).split()


def test_no_help_text_is_left_over() -> None:
    assert {path.stem for path in (GOLDEN / "help").glob("*.txt")} == {"recipe", *VERBS}


def test_documents_name_no_machine_paths_and_no_indexes() -> None:
    private = re.compile(r"/(?:home|root|work|tmp|Users)/|pypi\.org|index-url", flags=re.IGNORECASE)

    found = [page.name for page in PAGES if private.search(page.read_text("utf-8"))]

    assert found == []
