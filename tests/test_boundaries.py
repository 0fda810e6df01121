"""`.ci/boundaries.py` finds each unsafe form of a call, and none stands in the engine."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from support.paths import ROOT


@pytest.fixture(scope="module")
def boundaries() -> ModuleType:
    spec = importlib.util.spec_from_file_location("boundaries", ROOT / ".ci" / "boundaries.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_engine_calls_nothing_in_an_unsafe_form(boundaries: ModuleType) -> None:
    assert list(boundaries.faults(ROOT)) == []


@pytest.mark.parametrize(
    "call",
    [
        'run([sys.executable, "-m", "engine"])',
        'run([sys.executable, script, "-I"])',
        "python = sys.executable",
        'AutoTokenizer.from_pretrained("x")',
        "AutoModel.from_pretrained(x, local_files_only=True)",
        "AutoModel.from_pretrained(x, local_files_only=True, trust_remote_code=True)",
        "AutoModel.from_pretrained(x, local_files_only=True, **{'trust_remote_code': False})",
        "subprocess.run(['git'])",
        "os.system('x')",
        "os.posix_spawn('x', [], {})",
        "pickle.load(stream)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
    ],
)
def test_an_unsafe_form_is_found(boundaries: ModuleType, call: str, tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "x.py").write_text(call, encoding="utf-8")

    assert len(list(boundaries.faults(tmp_path))) == 1


@pytest.mark.parametrize(
    "call",
    [
        'run([sys.executable, "-I", "-u", script])',
        'run([sys.executable, "-P", "-m", "engine"])',
        "AutoModel.from_pretrained(x, local_files_only=True, trust_remote_code=False, **more)",
        "torch.load(path, weights_only=True)",
        "x: subprocess.Popen[bytes]",
    ],
)
def test_a_safe_form_is_fine(boundaries: ModuleType, call: str, tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "x.py").write_text(call, encoding="utf-8")

    assert list(boundaries.faults(tmp_path)) == []
