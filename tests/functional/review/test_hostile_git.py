"""A repository that somebody else made: reviewing it starts no program but git's own, and writes nowhere else."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.git_repository import recipe, repository
from support.git_traps import (
    LOWER,
    RECIPE,
    Trap,
    clean,
    hooked,
    hooks_elsewhere,
    in_a_submodule,
    included,
    monitor,
    odd_name,
    of_the_worktree,
    on_path,
    process,
    shown,
)
from support.recipe_pairs import CASES, write_rows

pytestmark = pytest.mark.thorough


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Trap:
    folder = tmp_path / "team"
    (folder / "recipes").mkdir(parents=True)
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    write_rows(folder / "recipes")
    attributes = "*.csv filter=one diff=one\n*.yaml filter=two diff=one\n"
    files = {RECIPE: text.replace("      sha256: TICKETS\n", ""), ".gitattributes": attributes}
    git = repository(folder, files)
    git.edit(RECIPE, *LOWER)
    (folder / "recipes" / "tickets.csv").touch()
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return Trap(git=git, capsys=capsys)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "step",
    [
        clean, process, odd_name, included, of_the_worktree, monitor, shown, hooked, hooks_elsewhere,
        in_a_submodule, on_path,
    ],
    ids=lambda step: step.__name__,
)  # fmt: skip
def test_no_setting_of_a_repository_starts_a_program(
    trap: Trap, step: Callable[[Trap], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    step(trap)

    ci, diff = trap.reviewed()

    assert "W101" in ci.out
    assert "acceptance.metrics.macro_f1.min" in diff.out
    assert not trap.ran.exists(), trap.ran.read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    ["GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_CONFIG_PARAMETERS"],
)
def test_no_variable_of_git_starts_a_program(
    trap: Trap, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_setting = name == "GIT_CONFIG_PARAMETERS"
    value = f"'core.fsmonitor'='{trap.program}'" if is_setting else trap.program
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_DIR", str(trap.git.folder.parent / "elsewhere"))

    ci, diff = trap.reviewed()

    assert "W101" in ci.out
    assert "macro_f1.min" in diff.out
    assert not trap.ran.exists()


@pytest.mark.parametrize("way", ["ssh", "upload-pack", "ext"])
def test_a_missing_object_is_not_fetched(trap: Trap, way: str) -> None:
    git = trap.git
    blob = git.run("rev-parse", f"HEAD:{RECIPE}")
    git.commit()
    trap.set(core__repositoryformatversion="1", extensions__partialClone="origin")
    trap.set(remote__origin__promisor="true", core__sshCommand=trap.program)
    trap.set(remote__origin__uploadpack=trap.program)
    urls = {"ssh": "ssh://host/x", "upload-pack": str(git.folder), "ext": f"ext::{trap.program}"}
    trap.set(remote__origin__url=urls[way])
    for protocol in ("ssh", "file", "ext"):
        trap.git.run("config", f"protocol.{protocol}.allow", "always")
    (git.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()

    ci, diff = trap.reviewed(since="HEAD~1")

    assert not trap.ran.exists(), trap.ran.read_text("utf-8")
    assert "🟢" not in ci.out
    assert (diff.code, "R025" in diff.err) == (2, True)


def test_a_bare_repository_in_a_folder_is_none(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = trap.git.folder / "docs"
    trap.git.run("init", "--quiet", "--bare", str(bare))
    for setting in ("core.fsmonitor", "core.sshCommand"):
        trap.git.run("-C", str(bare), "config", setting, trap.program)
    trap.git.run("-C", str(bare), "config", "core.bare", "false")
    trap.git.run("-C", str(bare), "config", "core.worktree", "..")
    monkeypatch.chdir(bare)

    outcome = recipe(trap.capsys, "ci", "--from", "HEAD")

    assert (outcome.code, "R020" in outcome.err) == (2, True)
    assert not trap.ran.exists()


def test_files_are_not_looked_for_elsewhere(trap: Trap) -> None:
    trap.set(core__worktree=str(trap.git.folder.parent))

    ci, diff = trap.reviewed()

    assert [(one.code, "R024" in one.err) for one in (ci, diff)] == [(2, True)] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_reported_with_what_to_do(trap: Trap) -> None:
    os.chown(trap.git.folder, 4711, 4711)
    os.chown(trap.git.folder / ".git", 4711, 4711)

    ci, diff = trap.reviewed()

    hint = f"git config --global --add safe.directory {trap.git.folder}"
    assert [(one.code, "R023" in one.err, hint in one.err) for one in (ci, diff)] == [
        (2, True, True)
    ] * 2


def test_what_the_user_allows_by_the_environment_holds(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")

    assert trap.reviewed()[0].code == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_only_git_is_started(trap: Trap, root: Path) -> None:
    for step in (clean, process, monitor, shown, hooked, in_a_submodule):
        step(trap)
    log = trap.git.folder.parent / "trace"
    python = Path(sys.executable)
    words = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=execve",
        "-o",
        str(log),
        str(python),
        "-m",
        "engine",
    ]

    for verb in (["ci", "--from", "HEAD"], ["diff", RECIPE, "--from", "HEAD"]):
        environment = {**os.environ, "PYTHONPATH": str(root)}
        subprocess.run([*words, *verb], env=environment, check=True, capture_output=True)
        started = [line for line in log.read_text("utf-8").splitlines() if "execve(" in line]
        programs = {line.partition('execve("')[2].partition('"')[0] for line in started}
        assert {Path(one).name for one in programs} <= {"git", python.name}


# What an honest repository has: the same comment as a plain one.


def large_files(trap: Trap) -> None:
    """The rows are kept by git-lfs, whose filters are not run."""
    git, path = trap.git, trap.git.folder / "recipes" / "tickets.csv"
    rows = path.read_bytes()
    digest = hashlib.sha256(rows).hexdigest()
    version = "version https://git-lfs.github.com/spec/v1"
    git.run("checkout", "--quiet", "--", RECIPE)
    git.write({"recipes/tickets.csv": f"{version}\noid sha256:{digest}\nsize {len(rows)}\n"})
    git.write({".gitattributes": "*.csv filter=lfs diff=lfs merge=lfs -text\n"})
    git.commit()
    path.write_bytes(rows)
    trap.set(filter__lfs__clean=trap.program, filter__lfs__process=trap.program)
    git.edit(RECIPE, *LOWER)


def line_ends(trap: Trap) -> None:
    git = trap.git
    git.run("checkout", "--quiet", "--", RECIPE)
    git.write({".gitattributes": "* text=auto eol=crlf\n"})
    git.commit()
    for path in (git.folder / "recipes").iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    git.edit(RECIPE, *LOWER)
    (git.folder / RECIPE).write_bytes(
        (git.folder / RECIPE).read_bytes().replace(b"\n", b"\r\n").replace(b"\r\r", b"\r")
    )


def with_a_submodule(trap: Trap) -> None:
    in_a_submodule(trap)
    trap.git.run("checkout", "--quiet", "--", RECIPE)
    trap.git.commit()
    trap.git.edit(RECIPE, *LOWER)


@pytest.mark.parametrize(
    "step", [large_files, line_ends, with_a_submodule], ids=lambda step: step.__name__
)
def test_an_honest_repository_gives_the_same_comment(
    trap: Trap, step: Callable[[Trap], None]
) -> None:
    def review_of() -> Any:
        (found,) = json.loads(recipe(trap.capsys, "ci", "--from", "HEAD", "--format", "json").out)[
            "recipes"
        ]
        return (
            found["path"],
            found["gate"],
            found["diff"]["gate"],
            found["diff"]["changes"],
            found["uncompared"],
        )

    before = review_of()
    step(trap)

    assert review_of() == before


# Names, and where the comment is written.


def test_a_recipe_whose_name_is_no_text_is_refused_and_shown_by_escapes(trap: Trap) -> None:
    """No report could hold its path."""
    folder = os.fsencode(trap.git.folder)
    place = os.path.join(folder, b"recipes", b"\xff\xfe.yaml")  # noqa: PTH118 - bytes
    shutil.copy(os.path.join(folder, os.fsencode(RECIPE)), place)  # noqa: PTH118

    outcome = recipe(trap.capsys, "ci", "--from", "HEAD", "-o", "out.md")

    text = Path("out.md").read_text("utf-8")
    assert (outcome.code, "R103" in text, "udcff" in text) == (2, True, True)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "name", [b"a\nb", b"a" * 200, b"tab\there", b"quote\"'", b"-o", b" lead", b"$(id)"]
)
def test_names_that_are_hard_to_write_are_compared(trap: Trap, name: bytes) -> None:
    folder = os.fsencode(trap.git.folder)
    trap.git.run("checkout", "--quiet", "--", RECIPE)
    place = os.path.join(folder, b"recipes", name + b".yaml")  # noqa: PTH118 - bytes
    shutil.copy(os.path.join(folder, os.fsencode(RECIPE)), place)  # noqa: PTH118
    trap.git.commit()
    content = Path(os.fsdecode(place)).read_text("utf-8")
    Path(os.fsdecode(place)).write_text(content.replace(*LOWER), encoding="utf-8")

    outcome = recipe(
        trap.capsys, "ci", "--from", "HEAD", "--fail-on", "weaker-gate", "-o", "out.md"
    )
    diff = recipe(trap.capsys, "diff", os.fsdecode(place), "--from", "HEAD")

    text = Path("out.md").read_text("utf-8")
    assert (outcome.code, "W101" in text, "macro_f1.min" in diff.out) == (1, True, True)


@pytest.mark.parametrize(
    "target",
    [
        "/dev/full",
        "/dev/stdout",
        "folder",
        "link",
        "dangling",
        "inner/out.md",
        "pipe",
        "x" * 5000,
        "a/" * 2500,
    ],
)
def test_the_comment_is_written_to_a_plain_file_only(trap: Trap, target: str) -> None:
    outside = trap.git.folder.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept", encoding="utf-8")
    Path("folder").mkdir()
    Path("link").symlink_to(outside / "kept")
    Path("dangling").symlink_to(outside / "new")
    Path("inner").symlink_to(outside)
    os.mkfifo("pipe")

    outcome = recipe(trap.capsys, "ci", "--from", "HEAD", "-o", target)

    assert (outcome.code, "R027" in outcome.err) == (3, True)
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text("utf-8") == "kept"


@pytest.mark.parametrize("target", ["out.md", "new/folder/out.md"])
def test_an_ordinary_place_is_made(trap: Trap, target: str, tmp_path: Path) -> None:
    for place in (target, str(tmp_path / "apart" / target)):
        assert recipe(trap.capsys, "ci", "--from", "HEAD", "-o", place).code == 0
        assert Path(place).read_text("utf-8").startswith("<!-- recipe ci -->")


def test_a_signed_commit_of_a_lock_starts_no_program(trap: Trap) -> None:
    git = trap.git
    git.write({"recipes/tickets.lock.json": "{}"})
    git.commit()
    head, _, message = git.run("cat-file", "commit", "HEAD").partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    place = git.folder.parent / "commit"
    place.write_text(f"{head}\n{signature}\n\n{message}\n", encoding="utf-8")
    signed = git.run("hash-object", "-t", "commit", "-w", str(place))
    git.run("update-ref", "HEAD", signed)
    git.run("config", "log.showSignature", "true")
    git.run("config", "gpg.program", trap.program)

    trap.reviewed(since="HEAD~1")

    assert not trap.ran.exists()
    git.run("log", "--format=%H", "-1")
    assert trap.ran.exists()
