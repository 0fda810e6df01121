"""Which folder may be a store: none that came as a link, and none that others can write into."""

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import EngineError, EnvironmentProblem, StoreError
from engine.lock.holdout_uses import HoldoutUses
from engine.store import Store, make_key
from engine.store.records import Runs, latest_accepted, read_record
from engine.store.root import checked_root


def code_of(root: Path, *, is_named: bool = False) -> str:
    """The code of the refusal; empty where the folder is taken."""
    try:
        checked_root(root, is_named=is_named)
    except EngineError as error:
        return error.problems[0].code
    return ""


def test_a_plain_folder_or_none_is_taken(tmp_path: Path) -> None:
    assert code_of(tmp_path / ".recipe") == ""
    (tmp_path / ".recipe").mkdir()
    assert code_of(tmp_path / ".recipe") == ""


@pytest.mark.parametrize("target", ["outside", "nothing"])
def test_a_link_is_refused_unless_its_user_names_it(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / ".recipe"
    root.symlink_to(tmp_path / target)

    assert code_of(root) == "E753"
    assert checked_root(root, is_named=True) == tmp_path / target


@pytest.mark.parametrize("name", ["store", "README.txt", ".gitignore", "logs"])
def test_a_link_in_it_is_refused_even_where_it_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / ".recipe"
    root.mkdir()
    (root / name).symlink_to(tmp_path / "outside")

    assert code_of(root, is_named=True) == "E753"


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["file", "pipe"])
def test_what_is_no_folder_is_refused(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / ".recipe")

    assert code_of(tmp_path / ".recipe") == "E750"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(
    ("mode", "code"), [(0o755, ""), (0o775, ""), (0o777, "E754"), (0o702, "E754"), (0o1777, "")]
)
def test_a_folder_that_everybody_can_write_is_refused(tmp_path: Path, mode: int, code: str) -> None:
    root = tmp_path / ".recipe"
    root.mkdir()
    root.chmod(mode)

    assert code_of(root) == code
    assert code_of(root) == code
    assert code_of(root, is_named=True) == code


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
@pytest.mark.parametrize(
    ("user", "sudo", "code"),
    [(0, "", "E754"), (0, "1234", ""), (77, "1234", "E754"), (1234, "", "")],
)
def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, sudo: str, code: str
) -> None:
    root = tmp_path / ".recipe"
    root.mkdir()
    real = Path.stat

    def owned(path: Path, **options: bool) -> os.stat_result:
        found = real(path, **options)
        values = [*found[:4], 1234, *found[5:]]
        return os.stat_result(values) if path == root and stat.S_ISDIR(found.st_mode) else found

    monkeypatch.setattr(Path, "stat", owned)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("SUDO_UID", sudo)

    assert code_of(root) == code


# Links and other things that came with a repository, at every place where a store is written: none is followed.
KEY = make_key({"stage": "data"})
K = KEY.digest
HOLDOUT = "5e" * 32
FOLDERS = (
    "store", f"store/{K[:2]}", f"store/{K[:2]}/{K}", "tmp", f"tmp/{K}", "scratch", f"scratch/{K}",
    "locks", "damaged", "foreign", "holdouts", "runs", "runs/tiny",
)  # fmt: skip
FILES = (
    "README.txt", ".gitignore", f"locks/{K[:16]}.lock", f"holdouts/{HOLDOUT}.json",
    f"scratch/{K}/.begun.json", f"locks/{HOLDOUT[:16]}.lock",
)  # fmt: skip
MINE = "export PATH\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """The user's own folder, with a file in it, a folder by the name of each key, and nothing else."""
    folder = tmp_path / "home"
    (folder / K).mkdir(parents=True)
    for path in (folder / ".bashrc", folder / K / "file"):
        path.write_text(MINE, encoding="utf-8")
    return folder


def seen(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def use(root: Path) -> None:
    """Write everything that a store can write; what is refused is refused with a code."""
    store, runs = Store(root), Runs(root)

    def build(folder: Path) -> None:
        (store.scratch(K) / "checkpoint").write_text("1", encoding="utf-8")
        (folder / "rows").write_text("one", encoding="utf-8")

    steps: list[Callable[[], object]] = [
        lambda: store.scratch(K),
        lambda: store.put("data", KEY, build),
        lambda: store.put("data", KEY, build, anew=True),
        lambda: store.set_aside(K),
        lambda: HoldoutUses(store).add(HOLDOUT, {"run": "one"}),
        lambda: runs.record(runs.create("tiny", K), {"outcome": "accepted"}),
        lambda: latest_accepted(runs, "tiny"),
    ]
    for step in steps:
        with contextlib.suppress(StoreError, EnvironmentProblem):
            step()


@pytest.mark.parametrize("place", FOLDERS)
def test_no_folder_of_a_store_is_written_through_a_link(
    tmp_path: Path, outside: Path, place: str
) -> None:
    before = seen(outside)
    link = tmp_path / ".recipe" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)

    use(tmp_path / ".recipe")

    assert seen(outside) == before


@pytest.mark.parametrize("place", FILES)
@pytest.mark.parametrize("target", [".bashrc", "new"])
def test_no_file_of_a_store_is_written_through_a_link(
    tmp_path: Path, outside: Path, place: str, target: str
) -> None:
    before = seen(outside)
    link = tmp_path / ".recipe" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / target)

    use(tmp_path / ".recipe")

    assert seen(outside) == before


@pytest.mark.parametrize("place", FILES)
def test_no_file_with_another_name_is_written_into(
    tmp_path: Path, outside: Path, place: str
) -> None:
    link = tmp_path / ".recipe" / place
    link.parent.mkdir(parents=True)
    link.hardlink_to(outside / ".bashrc")

    use(tmp_path / ".recipe")

    assert (outside / ".bashrc").read_text(encoding="utf-8") == MINE


def test_a_store_that_is_a_link_is_not_written(tmp_path: Path, outside: Path) -> None:
    before = seen(outside)
    (tmp_path / ".recipe").symlink_to(outside)

    use(tmp_path / ".recipe")

    assert seen(outside) == before


@pytest.mark.parametrize("name", ["artifact.json", "files/rows", "files"])
def test_a_result_behind_a_link_is_none(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    artifact = store.put("data", KEY, lambda f: (f / "rows").write_text("one", encoding="utf-8"))
    path = artifact.path.parent / name
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")

    assert store.get(K) is None


@pytest.mark.parametrize("place", ["runs", "runs/tiny", "runs/tiny/RUN"])
def test_a_run_behind_a_link_is_none_of_the_store(tmp_path: Path, place: str) -> None:
    runs = Runs(tmp_path)
    run = runs.create("tiny", K)
    runs.record(run, {"outcome": "accepted", "recipe": "tiny"})
    assert latest_accepted(runs, "tiny") is not None

    path = tmp_path / place.replace("RUN", run.name)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")

    assert latest_accepted(runs, "tiny") is None
    assert runs.names() == []


DEEP = "[" * 100_000
HARM: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_text(DEEP, encoding="utf-8"),
    "deep values": lambda path: path.write_text(
        f'{{"schema": "artifact.v1", "payload": {DEEP}{"]" * 100_000}}}', encoding="utf-8"
    ),
    "binary": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "null": lambda path: path.write_text("null", encoding="utf-8"),
    "list": lambda path: path.write_text("[1]", encoding="utf-8"),
    "NaN": lambda path: path.write_text('{"seconds": NaN, "signed": {}}', encoding="utf-8"),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "huge": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_records_that_are_none_count_as_absent_at_once(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    store, runs = Store(tmp_path), Runs(tmp_path)
    run = runs.create("tiny", K)
    paths = (
        store.folder(K) / "artifact.json",
        run / "run.json",
        tmp_path / "holdouts" / f"{HOLDOUT}.json",
        tmp_path / "scratch" / K / ".begun.json",
    )
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        harm(path)
    began = time.process_time()

    assert store.get(K) is None
    assert read_record(run) in (
        {},
        {"seconds": pytest.approx(float("nan"), nan_ok=True), "signed": {}},
    )
    assert latest_accepted(runs, "tiny") is None
    assert HoldoutUses(store).looks(HOLDOUT) == 0
    assert not store.has_scratch(K)
    assert HoldoutUses(store).add(HOLDOUT, {"run": "one"}) == 1
    assert store.put("data", KEY, lambda f: (f / "x").write_text("1", encoding="utf-8"))
    assert time.process_time() - began < 2
    assert len([*(tmp_path / "damaged").iterdir()]) == 2


@pytest.mark.parametrize("key", ["../../home", "/etc", "", ".", "AB" * 32, "5e" * 31])
def test_work_in_progress_is_found_by_whole_keys_only(tmp_path: Path, key: str) -> None:
    assert not Store(tmp_path).has_scratch(key)


def test_a_lock_that_is_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "locks" / f"{K[:16]}.lock").mkdir(parents=True)

    with pytest.raises(EngineError, match="E750"):
        Store(tmp_path).put("data", KEY, lambda _: None)
