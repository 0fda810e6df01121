"""A clean, offline, repeatable environment for every test."""

import gc
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

pytest_plugins = ["support.durations", "support.golden", "support.longest_first", "support.sampled"]

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    AXOLOTL_DO_NOT_TRACK="1",
    DO_NOT_TRACK="1",
    OMP_NUM_THREADS="2",
    # As `recipe` sets it: tests share the cores with each other.
    GOMP_SPINCOUNT="1000",
)


signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
"""What starts the tests in the background (a shell, nohup) has signals ignored, and children inherit that."""

pytest.register_assert_rewrite("support")


def _keep_bytecode() -> None:
    """Let processes that tests start find compiled modules, and start none that compiles them."""
    if sys.pycache_prefix is None:
        sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
        sys.dont_write_bytecode = False
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


_keep_bytecode()

from support.examples import register_profiles  # noqa: E402 - its asserts are to be rewritten
from support.processors import take_a_processor  # noqa: E402 - the same
from support.shared import open_shared_folder  # noqa: E402 - the same

take_a_processor()
register_profiles()
open_shared_folder()

GZIP = b"\x1f\x8b"
"""How a gzip file begins; its time of making stands in the ten bytes of its head."""
OF_A_FILE = re.compile(r"^pytestmark = (\[.*?^\]|.*?$)", re.MULTILINE | re.DOTALL)
ROOT = Path(__file__).parents[1]


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def shared_data(root: Path) -> Path:
    """Real data sets for development; the test is skipped where they are absent."""
    folder = root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data sets are not on this machine")
    return folder


@pytest.fixture
def careful_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of a user who has allowed nothing yet; returned is the one that holds them."""
    folder = tmp_path_factory.mktemp("user")
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
    return folder


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the repository, and none sees colour or a narrow terminal."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LLAMA_CPP_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def gradients_stay_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test trains without gradients because one before it left them off; a warning names that one."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "default"
            )  # in the summary: it happened once in three runs of CI's tests
            warnings.warn(f"gradients were off after {request.node.nodeid}", stacklevel=1)


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: all of it stays."""
    gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Run the thorough tests of files and folders that are named: who names them wants what they hold."""
    if config.args_source is config.ArgsSource.ARGS:
        config.option.markexpr = config.option.markexpr.replace("not thorough and ", "")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file whose mark leaves all of its tests out: each worker would, and make 4,000 tests for nothing."""
    expression = config.option.markexpr
    # `thorough or not thorough` leaves nothing out
    if collection_path.suffix != ".py" or not expression or " or " in expression:
        return None
    marks = OF_A_FILE.search(collection_path.read_text(encoding="utf-8"))
    left_out = re.findall(r"\bnot (\w+)", expression)
    is_left_out = marks and any(f"pytest.mark.{mark}" in marks[0] for mark in left_out)
    return True if is_left_out else None


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many workers as processors, four at most: each takes a gigabyte. None for files that are named."""
    if all(word.partition("::")[0].endswith(".py") for word in config.args):
        return 0
    return min(4, os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """Take the tests and the libraries they imported out of the garbage collector's sight.

    Trainers collect garbage after each training, and walking two million objects that stay takes a second.
    """
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name cases alike in every worker: sets have no order, and gzip writes the time."""
    if isinstance(val, set | frozenset):
        return "+".join(sorted(map(str, val))) or "nothing"
    if isinstance(val, bytes):
        return f"bytes-{sha256(val[10:] if val[:2] == GZIP else val).hexdigest()[:8]}"
    return None
