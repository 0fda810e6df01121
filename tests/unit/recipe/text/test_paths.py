"""Patterns in paths: which files, in which order, and which links are left alone."""

import os
import shlex
from pathlib import Path

import pytest

from engine.recipe import check_recipe, load_recipe, moving_references, resolved_mapping
from engine.recipe.text.paths import (
    MAX_DEPTH,
    MOST_NAMES,
    as_typed,
    from_here,
    is_pattern,
    match,
    match_listed,
    names_in,
)

RECIPE = """recipe: v1
name: tickets
task:
  kind: classification
  instruction: "Which of these is it: {labels}?"
  labels: [billing, bug]
base_model:
  hub: HuggingFaceTB/SmolLM2-360M-Instruct
  revision: 0123456789abcdef0123456789abcdef01234567
data:
  sources:
    - path: PATTERN
    - {hub: owner/set, split: train}
  label:
    column: topic
splits:
  train: 400
  validation: 100
  holdout: 300
method:
  kind: lora
acceptance:
  metrics:
    macro_f1: {min: 0.80}
"""


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text,topic\n")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ("B.csv", "a.csv", "z.csv")),
        ("d/*.csv", ("d/1.csv", "d/10.csv", "d/2.csv")),
        ("./d/?.csv", ("./d/1.csv", "./d/2.csv")),
        ("d/[!2].csv", ("d/1.csv",)),
        ("**/*.csv", ("B.csv", "a.csv", "d/1.csv", "d/10.csv", "d/2.csv", "d/e/f/3.csv", "z.csv")),
        ("d/**", ("d/1.csv", "d/10.csv", "d/2.csv", "d/e/f/3.csv", "d/é.tsv")),
        ("*/e/**/3.csv", ("d/e/f/3.csv",)),
        (".h*/*.csv", (".hidden/4.csv",)),
        ("d/.*.csv", ("d/.5.csv",)),
        ("d", ()),
        ("none/*.csv", ()),
        ("a.csv/*", ()),
        ("d/*/", ()),
    ],
)
def test_files_are_matched_in_one_order(
    tmp_path: Path, pattern: str, expected: tuple[str, ...]
) -> None:
    files(tmp_path, "z.csv", "d/10.csv", "a.csv", "d/2.csv", "B.csv", "d/1.csv", "d/e/f/3.csv")
    files(tmp_path, ".hidden/4.csv", "d/.5.csv", "d/é.tsv")

    found = match(pattern, tmp_path).files if is_pattern(pattern, tmp_path) else ()

    assert found == expected


def test_a_pattern_may_stand_outside_the_recipes_folder(tmp_path: Path) -> None:
    files(tmp_path, "data/a.csv")
    (tmp_path / "recipes").mkdir()

    assert match("../data/*.csv", tmp_path / "recipes").files == ("../data/a.csv",)
    assert match(f"{tmp_path}/data/*.csv", tmp_path / "recipes").files == (
        f"{tmp_path}/data/a.csv",
    )


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    files(tmp_path, "a[1].csv")

    assert not is_pattern("a[1].csv", tmp_path)
    assert is_pattern("a[2].csv", tmp_path)


def test_links_out_of_the_folder_are_left_out_and_reported(tmp_path: Path) -> None:
    files(tmp_path, "elsewhere/secret.csv", "here/d/a.csv")
    here = tmp_path / "here"
    (here / "d" / "out.csv").symlink_to(tmp_path / "elsewhere" / "secret.csv")
    (here / "d" / "in.csv").symlink_to(here / "d" / "a.csv")
    (here / "d" / "broken.csv").symlink_to(here / "absent.csv")
    (here / "folder").symlink_to(tmp_path / "elsewhere")
    (here / "d" / "loop").symlink_to(here)

    found = match("**/*.csv", here)
    folders = match("*/*.csv", here)

    assert found.files == ("d/a.csv", "d/in.csv")
    assert found.links == ("d/out.csv",)
    assert folders.links == ("d/out.csv", "folder")


def test_a_recipe_lists_the_files_of_its_patterns(tmp_path: Path) -> None:
    files(tmp_path, "data/b.csv", "data/a.csv")
    written = tmp_path / "recipe.yaml"
    written.write_text(
        RECIPE.replace("PATTERN", "data/*.csv").replace("data:", "allow_moving: true\ndata:")
    )

    recipe, _ = load_recipe(written)
    listed = [source.get("path") for source in resolved_mapping(recipe)["data"]["sources"]]

    assert listed == ["data/a.csv", "data/b.csv", None]
    assert [problem.path for problem in moving_references(recipe)] == ["data.sources[1]"]


def test_a_link_left_out_is_a_warning(tmp_path: Path) -> None:
    files(tmp_path, "out.csv", "here/data/a.csv")
    (tmp_path / "here" / "data" / "b.csv").symlink_to(tmp_path / "out.csv")
    written = tmp_path / "here" / "recipe.yaml"
    written.write_text(RECIPE.replace("PATTERN", "data/*.csv"))

    recipe, problems = check_recipe(written)

    assert recipe is not None
    assert [problem.code for problem in problems] == ["R256", "R301"]
    assert "`data/b.csv`" in problems[0].message


@pytest.mark.parametrize(
    ("names", "pattern", "codes"),
    [
        (("r1.csv", "r2.csv.gz"), "r[0-9]*", []),
        (("r1.csv", "r2.dat"), "r[0-9]*", ["R231"]),
        (("r1.xml", "r2.xml.gz"), "r*.xml*", ["R251"]),
    ],
)
def test_the_files_not_the_pattern_tell_the_format(
    tmp_path: Path, names: tuple[str, ...], pattern: str, codes: list[str]
) -> None:
    files(tmp_path, *names)
    written = tmp_path / "recipe.yaml"
    written.write_text(
        RECIPE.replace("PATTERN", pattern).replace("recipe: v1", "recipe: v1\nallow_moving: true")
    )

    assert [problem.code for problem in check_recipe(written)[1]] == codes


def test_folders_that_lie_too_deep_are_refused(tmp_path: Path) -> None:
    (tmp_path / ("d/" * (MAX_DEPTH + 5))).mkdir(parents=True)

    with pytest.raises(OSError, match="levels deep"):
        match("**/*.csv", tmp_path)


def test_any_number_of_folders_many_times_ends(tmp_path: Path) -> None:
    """Each way to divide the folders among the parts was gone: more than there are seconds."""
    deepest = tmp_path / ("d/" * 60)
    deepest.mkdir(parents=True)
    (deepest / "a.csv").touch()

    assert len(match("**/d/" * 12 + "**/*.csv", tmp_path).files) == 1


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.csv")).touch()

    with pytest.raises(ValueError, match="not UTF-8"):
        match("*.csv", tmp_path)


FILES = (
    "a.csv",
    "b.json",
    ".hidden.csv",
    "parts/a.csv",
    "parts/x/a.csv",
    "parts/.x/a.csv",
    "more/y/z/q.csv",
)


@pytest.mark.parametrize(
    "pattern",
    [
        "*.csv", "*", "parts/*.csv", "parts/**/*.csv", "**/*.csv", "**", ".*.csv", "parts/.x/*.csv",
        "[ab].*", "?.csv", "*/a.csv", "more/*/z/*", "../*/a.csv", "./parts/*", "none/*.csv",
    ],
)  # fmt: skip
def test_the_same_files_match(tmp_path: Path, pattern: str) -> None:
    folder = tmp_path / "recipes"
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    on_disk = match(pattern, folder).files

    found = match_listed(pattern, folder, [folder / name for name in reversed(FILES)])

    assert tuple(written for written, _ in found) == on_disk
    assert all(path.is_file() for _, path in found)


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).touch()

    assert names_in(tmp_path) == ["a", "b"]


def test_none_of_a_folder_of_very_many(tmp_path: Path) -> None:
    """Each recipe of a pull request asks again, and a thousand of them in one folder took a minute."""
    for number in range(MOST_NAMES + 1):
        (tmp_path / str(number)).touch()

    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "typed",
    ["plain.yaml", "it's two words.yaml", "a;b.yaml", "$HOME.yaml", "-x.yaml", "über/é.yaml"],
)
def test_a_shell_reads_a_shown_path_as_one_word_that_is_no_option(typed: str) -> None:
    [word] = shlex.split(as_typed(typed))

    assert (Path(word), word.startswith("-")) == (Path(typed), False)


def test_a_path_in_a_report_begins_at_the_current_folder_or_is_a_name(tmp_path: Path) -> None:
    shown = [from_here(tmp_path / "a b" / "x.yaml"), from_here(tmp_path.parent / "x.yaml")]

    assert shown == ["a b/x.yaml", "x.yaml"]
