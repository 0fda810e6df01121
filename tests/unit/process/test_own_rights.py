"""What a verb keeps while it runs a recipe: tried in a process of its own, since nothing gives it back."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from engine.files.reading import bytecode_folder
from engine.process import bytecode, policies
from engine.process import start as processes
from engine.process.confine import available
from engine.process.policies import gpus, rights_of, rights_of_a_run, rights_of_fetching
from engine.process.start import module

pytestmark = pytest.mark.skipif(not available().landlock, reason="no Landlock here")

TRIALS = """\
import json, mmap, os, socket, subprocess, sys, tempfile
from pathlib import Path
from engine.process import confine
from engine.process.policies import rights_of_a_run, rights_of_fetching

project, store = Path(sys.argv[1]), Path(sys.argv[2])
network = {"local": confine.NONE, "ranks": confine.LOOPBACK, "remote": confine.OPEN}[sys.argv[3]]
home = Path.home()
before = confine.in_force()
confine.confine_main(rights_of_a_run(
    project=[project], reads=[home / "allowed"], writes=[store], network=network,
))

def tried(call):
    try:
        call()
    except (OSError, RuntimeError) as error:
        return type(error).__name__
    return "done"

def gather():
    # As each process of a training by several begins.
    import torch
    at = f"file://{tempfile.mkdtemp()}/group"
    torch.distributed.init_process_group("gloo", init_method=at, rank=0, world_size=1)

def taken():
    # not touched, and by parts that the kernel would give each
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    swap = [line for line in open("/proc/meminfo") if line.startswith("SwapTotal")]
    parts = []
    try:
        for _ in range(3 + 2 * (int(swap[0].split()[1]) << 10) // whole):
            parts.append(mmap.mmap(-1, whole // 2, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except OSError as error:
        return type(error).__name__
    return "done"

print(json.dumps({
    "reads the project": tried((project / "rows.csv").read_text),
    "lists the project": tried(lambda: os.listdir(project)),
    "reads a hidden file of the project": tried((project / ".env").read_text),
    "reads what was allowed": tried((home / "allowed").read_text),
    "reads the home folder": tried((home / ".ssh" / "id").read_text),
    "writes the project": tried(lambda: (project / "x").write_text("x")),
    "writes the store": tried(lambda: (store / "x").write_text("x")),
    "writes the home folder": tried(lambda: (home / ".bashrc").write_text("x")),
    "reads the user's settings": tried((home / ".config/slm-recipe/settings.yaml").read_text),
    "reads the key that signs": tried((home / ".config/slm-recipe/signing-key.pem").read_text),
    "changes the user's settings": tried(
        lambda: (home / ".config/slm-recipe/settings.yaml").write_text("projects: [/]")
    ),
    "reads the key of the stores": tried((home / ".local/state/slm-recipe/store.key").read_bytes),
    "gives consent": tried(lambda: (home / ".local/state/slm-recipe/x.json").write_text("{}")),
    "writes its caches": tried(lambda: (home / ".cache" / "slm-recipe" / "x").write_text("x")),
    "writes temporary files": tried(lambda: tempfile.TemporaryFile().close()),
    "opens a socket": tried(lambda: socket.socket().close()),
    "gathers alone": tried(gather),
    "starts this Python": tried(lambda: subprocess.run([sys.executable, "-I", "-c", ""], check=True)),
    "before": before,
    "takes more memory than there is": taken(),
    "after": confine.in_force(),
}))
"""
EXPECTED: Mapping[str, str] = {
    "reads the project": "done",
    "lists the project": "done",
    "reads a hidden file of the project": "PermissionError",
    "reads what was allowed": "done",
    "reads the home folder": "PermissionError",
    "writes the project": "PermissionError",
    "writes the store": "done",
    "writes the home folder": "PermissionError",
    "reads the user's settings": "done",
    "reads the key that signs": "PermissionError",
    "changes the user's settings": "PermissionError",
    "reads the key of the stores": "done",
    "gives consent": "PermissionError",
    "writes its caches": "done",
    "writes temporary files": "done",
    "opens a socket": "PermissionError",
    "starts this Python": "done",
}


@cache
def _found(kind: str) -> dict[str, str]:
    # Not in the shared memory, where tests have their folders: a run may write there.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        home = Path(name) / "home"
        project, store = home / "project", home / "project" / ".recipe"
        own, state = home / ".config/slm-recipe", home / ".local/state/slm-recipe"
        for folder in (store, home / ".ssh", home / "temporary", own, state):
            folder.mkdir(parents=True)
        for file in (
            *(project / "rows.csv", project / ".env", home / "allowed", home / ".ssh/id"),
            *(own / "settings.yaml", own / "signing-key.pem", state / "store.key"),
        ):
            file.write_text("x")
        ended = subprocess.run(
            [sys.executable, "-P", "-c", TRIALS, str(project), str(store), kind],
            env={
                "HOME": str(home),
                "PYTHONPATH": str(Path(__file__).parents[3]),
                "TMPDIR": str(home / "temporary"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads(ended.stdout)
    return found


@pytest.mark.sampled(4)
@pytest.mark.parametrize("trial", EXPECTED)
def test_a_run_keeps_what_its_recipe_needs_and_nothing_else(trial: str) -> None:
    assert _found("local")[trial] == EXPECTED[trial]


@pytest.mark.skipif(bool(gpus()), reason="a driver of a GPU maps more than it takes")
def test_a_run_gets_no_more_memory_than_there_is() -> None:
    assert _found("local")["takes more memory than there is"] == "OSError"


def test_the_network_stays_where_something_is_fetched_or_asked() -> None:
    assert _found("remote")["opens a socket"] == "done"
    assert _found("remote")["reads the home folder"] == "PermissionError"


@pytest.mark.thorough
def test_processes_of_one_training_find_each_other() -> None:
    assert _found("ranks")["gathers alone"] == "done"
    assert _found("local")["gathers alone"] == "RuntimeError"
    assert _found("ranks")["reads the home folder"] == "PermissionError"
    assert _found("ranks")["after"].endswith("sockets for the processes that it starts")


def test_the_report_says_what_is_confined() -> None:
    number = available().landlock

    assert _found("local")["before"].startswith("child processes only: landlock")
    assert _found("local")["after"] == f"confined: landlock {number}, no network"
    assert _found("remote")["after"].endswith("network for what is fetched and asked only")


def test_the_caches_of_the_hub_are_there_before_they_are_allowed(tmp_path: Path) -> None:
    rights = rights_of_a_run(
        project=[],
        reads=[],
        writes=[],
        reads_hub=True,
        variables={"HF_HOME": str(tmp_path)},
    )

    assert (tmp_path / "hub").is_dir()
    assert str(tmp_path / "hub") in rights.read
    assert not {str(tmp_path), str(tmp_path / "hub")} & set(rights.write)


def test_files_that_the_users_variables_name_are_read(tmp_path: Path) -> None:
    variables = {
        "SSL_CERT_FILE": str(tmp_path / "own.pem"),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "NETRC": "relative",
    }
    named = [tmp_path / "own.pem", tmp_path / "pip.conf"]

    fetching = rights_of_fetching(tmp_path, [], variables)
    own = rights_of_a_run(project=[], reads=[], writes=[], variables=variables)

    assert [str(one) in fetching.read for one in named] == [True, True]
    assert [str(one) in own.read for one in named] == [True, False]
    assert "relative" not in fetching.read


def test_who_fetches_keeps_archives_for_all_projects_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    fetching = rights_of_fetching(tmp_path / "store", [], {})

    place = tmp_path / "cache" / "slm-recipe-packages"
    assert str(place) in fetching.write
    assert place.is_dir()


def test_the_key_of_a_shared_store_is_read_wherever_it_is(tmp_path: Path) -> None:
    variables = {"SLM_RECIPE_STORE_KEY_FILE": str(tmp_path / "key")}

    own = rights_of_a_run(project=[], reads=[], writes=[], variables=variables)

    assert str(tmp_path / "key") in own.read


# Bytecode of libraries: made once by a process apart, read by confined children, written by none of them.
LIBRARY = "own_library"
SAY = "say_it"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The source of a library that nobody has compiled, which is all that runs import."""
    # Children share the memory in which tests' folders may lie.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        yield _made(Path(place), monkeypatch)
    policies.base_rights.cache_clear()


def _made(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = place / "libraries"
    package = folder / LIBRARY / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("VALUE = 'compiled'\n", encoding="utf-8")
    (folder / f"{SAY}.py").write_text(
        f"import {LIBRARY}, sys\nfrom pathlib import Path\n"
        f"try:\n    Path(sys.pycache_prefix, 'left').touch()\nexcept OSError as error:\n"
        f"    print({LIBRARY}.VALUE, type(error).__name__)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    monkeypatch.setattr(bytecode, "MODULES", (LIBRARY,))
    policies.base_rights.cache_clear()
    return package


def _keep() -> bool:
    """Have it kept; whether a child was started for that, whose work is waited for."""
    with ExitStack() as held:
        child = bytecode.keep_bytecode(held)
        if child is not None:
            assert child.wait() == 0
        return child is not None


def _as_seen_by_a_child() -> list[str]:
    """What a confined child finds in the library, and what happens to it when it writes beside the bytecode."""
    with processes.working_folder() as folder:
        child = processes.start(
            module(SAY),
            folder=folder,
            variables=processes.environment(),
            out=processes.PIPE,
            errors=processes.STDOUT,
            rights=rights_of(module(SAY)),
        )
        with child:
            return " ".join(child.lines()).split()


def _change_unseen(source: Path) -> None:
    """Change a source so that its bytecode still counts as its own."""
    before = source.stat()
    source.write_text("VALUE = 'imported'\n", encoding="utf-8")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_confined_child_reads_what_was_compiled_and_writes_none(library: Path) -> None:
    assert _keep()
    _change_unseen(library)

    assert _as_seen_by_a_child() == ["compiled", "PermissionError"]
    assert not list(library.parent.glob("__pycache__"))


@pytest.mark.thorough
def test_it_is_compiled_once_and_again_for_another_version(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = [_keep()]
    monkeypatch.setattr(sys, "pycache_prefix", None)
    started.append(_keep())
    library.write_text("VALUE = 'upgraded'\n", encoding="utf-8")
    os.utime(library, (1, 1))  # bytecode knows seconds
    monkeypatch.setattr(sys, "pycache_prefix", None)
    started.append(_keep())

    assert started == [True, False, True]
    assert _as_seen_by_a_child()[0] == "upgraded"


def test_what_compiles_ends_with_what_holds_it(library: Path) -> None:
    library.write_text("while True:\n    pass\n", encoding="utf-8")

    with ExitStack() as held:
        child = bytecode.keep_bytecode(held)
        assert child is not None
        assert not child.has_ended()

    assert child.status == 0


def test_what_the_installer_compiled_stays_in_use(library: Path) -> None:
    beside = library.parent / "__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc"
    beside.parent.mkdir()
    beside.touch()

    assert not _keep()
    assert sys.pycache_prefix is None
    assert not bytecode_folder().exists()


@pytest.mark.thorough
def test_a_folder_that_the_user_named_is_read_by_children_too(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _keep()
    named = str(sys.pycache_prefix)
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(named).parents[1]))
    monkeypatch.setattr(sys, "pycache_prefix", named)
    _change_unseen(library)

    assert not _keep()
    assert _as_seen_by_a_child()[0] == "compiled"


@pytest.mark.usefixtures("library")
def test_a_user_without_a_home_folder_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_folder() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(bytecode, "bytecode_folder", no_folder)

    assert not _keep()
    assert sys.pycache_prefix is None
