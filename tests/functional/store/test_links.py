"""Links that came with a repository, at every place that a verb writes: no byte outside changes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.git_repository import repository
from support.project import Outcome, Project

pytestmark = pytest.mark.thorough

STORE_VERBS = (
    ("plan", "recipe.yaml"),
    ("data", "recipe.yaml", "--no-tokens"),
    ("run", "recipe.yaml", "--until", "data"),
    ("runs",),
    ("report",),
)
MINE = "export PATH\n"


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's own folder, with a file."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".bashrc").write_text(MINE, encoding="utf-8")
    return folder


def seen(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def is_typed(outcome: Outcome) -> bool:
    return outcome.code in (0, 2, 3) and "I900" not in outcome.err


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "place",
    [
        ".recipe", ".recipe/.gitignore", ".recipe/README.txt", ".recipe/store", ".recipe/scratch",
        ".recipe/locks", ".recipe/tmp", ".recipe/runs", ".recipe/runs/tiny", ".recipe/logs",
        ".recipe/holdouts", ".recipe/digests.json", ".recipe/damaged", "recipe.lock.json",
        ".recipe.lock.json.part",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", [".bashrc", "new", "."])
def test_a_link_where_a_run_writes_leads_nowhere(
    small: Project, outside: Path, place: str, target: str
) -> None:
    link = small.folder / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / target)

    outcomes = [small.run(*words) for words in STORE_VERBS]

    assert seen(outside) == {".bashrc": MINE}
    assert [one for one in outcomes if not is_typed(one)] == []


def test_a_lock_that_is_a_link_is_replaced(small: Project, outside: Path) -> None:
    first = small.run("run", "recipe.yaml", "--until", "data")
    assert first.code == 0, first.err
    lock = small.folder / "recipe.lock.json"
    elsewhere = outside / "other.lock.json"
    text = lock.read_text(encoding="utf-8").replace('"looks": 0', '"looks": 3')
    elsewhere.write_text(text, encoding="utf-8")
    lock.unlink()
    lock.symlink_to(elsewhere)
    small.edit(splits__seed=8)

    outcome = small.run("run", "recipe.yaml", "--until", "data")

    assert outcome.code == 0, outcome.err
    assert elsewhere.read_text(encoding="utf-8") == text
    assert not lock.is_symlink()


@pytest.fixture
def small(project: Project) -> Project:
    """A project whose data stage is all that is run."""
    project.edit(baselines=["majority"])
    return project


def test_a_store_that_everybody_can_write_is_refused(small: Project) -> None:
    root = small.folder / ".recipe"
    root.mkdir()
    root.chmod(0o777)

    outcomes = [small.run(*words) for words in STORE_VERBS]

    assert {one.code for one in outcomes} == {3}
    assert all("E754" in one.err and "chmod o-w" in one.err for one in outcomes)


@pytest.mark.parametrize("link", ["file", "folder"])
@pytest.mark.parametrize("verb", ["fmt", "pin"])
def test_a_recipe_behind_a_link_is_not_rewritten(
    small: Project, outside: Path, verb: str, link: str
) -> None:
    text = small.recipe.read_text(encoding="utf-8").replace("rows.csv", f"{small.folder}/rows.csv")
    text = text.replace("recipe: v1", "recipe:   v1")
    (outside / "recipe.yaml").write_text(text, encoding="utf-8")
    shutil.copytree(small.folder / "base", outside / "base")
    before = seen(outside)
    if link == "file":
        (small.folder / "linked.yaml").symlink_to(outside / "recipe.yaml")
        named = "linked.yaml"
    else:
        (small.folder / "sub").symlink_to(outside)
        named = "sub/recipe.yaml"

    outcome = small.run(verb, named)

    assert (outcome.code, "E711" in outcome.err) == (3, True), outcome.err
    assert seen(outside) == before


WRITE: dict[str, tuple[str, ...]] = {
    "compile": ("compile", "recipe.yaml", "-o", "out"),
    "ci": ("ci", "--from", "HEAD", "-o", "out/config.yaml"),
    "init": ("init", "quickstart", "-o", "out/config.yaml"),
    "init draft": ("init", "rows.csv", "-o", "out/config.yaml"),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("words", WRITE.values(), ids=WRITE)
@pytest.mark.parametrize("place", ["out", "out/config.yaml", "out/data", "out/.config.yaml.part"])
@pytest.mark.parametrize("target", [".bashrc", "new", "."])
def test_an_output_is_not_written_through_a_link(
    small: Project, outside: Path, words: tuple[str, ...], place: str, target: str
) -> None:
    if words[0] == "ci":
        repository(small.folder, {})
    link = small.folder / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / target)

    outcome = small.run(*words)

    assert seen(outside) == {".bashrc": MINE}
    assert is_typed(outcome), outcome.err


@pytest.mark.parametrize(
    ("name", "refusal"),
    # what is written aside has a name that nothing has
    [("tiny.bundle.tar", (2, "R005")), (".tiny.bundle.tar.part", (0, ""))],
)
def test_a_bundle_is_not_written_through_a_link(
    finished: Project, outside: Path, name: str, refusal: tuple[int, str]
) -> None:
    (finished.folder / name).symlink_to(outside / ".bashrc")

    outcome = finished.run("export", "bundle", "tiny", "--overwrite")

    code, problem = refusal
    assert (outcome.code, problem in outcome.err) == (code, True), outcome.err
    assert seen(outside) == {".bashrc": MINE}


def test_a_report_of_a_bug_is_not_written_through_a_link(
    small: Project, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small.folder / ".recipe"
    root.mkdir()
    (root / "logs").symlink_to(outside)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    broken: Callable[..., None] = fail
    monkeypatch.setattr("engine.cli.texts.validate", broken)

    outcome = small.run("validate", "recipe.yaml")

    assert (outcome.code, "ZeroDivisionError" in outcome.err) == (4, True)
    assert seen(outside) == {".bashrc": MINE}
