"""A file that came out wrong never leaves: whole runs whose llama.cpp damages what it writes."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.module_server import CONVERTER, script_of
from support.project import Outcome, Project
from support.runs import forget, report

pytestmark = pytest.mark.thorough

QUANTIZER = "from engine.runtime.gguf.quantize_worker import main\nmain()\n"
"""The packaged one, as the tool of a llama.cpp of the user's."""
SCRAMBLE = """
import sys
from gguf import GGUFReader
file = sys.argv[-3]
(tensor,) = [one for one in GGUFReader(file).tensors if one.name == "blk.1.ffn_down.weight"]
start, size = int(tensor.data_offset), int(tensor.n_bytes)
with open(file, "r+b") as stream:
    stream.seek(start)
    damaged = {damaged}
    stream.seek(start)
    stream.write(damaged)
"""
NO_NUMBERS = SCRAMBLE.format(damaged="b'\\xff' * size")
"""In Q8_0 every scale is NaN."""
OTHER_TEMPLATE = """
import shutil, sys, tempfile
from pathlib import Path
model = next(word for word in sys.argv[1:] if Path(word).is_dir())
folder = Path(tempfile.mkdtemp()) / "model"
shutil.copytree(model, folder)
template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\\n{% endfor %}"
(folder / "chat_template.jinja").write_text(template)
sys.argv[sys.argv.index(model)] = str(folder)
"""
CHAT: dict[str, dict[str, Any]] = {
    "task": {"kind": "chat"},
    "data": {"messages": {"column": "messages"}},
}


@pytest.fixture
def llama_cpp(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A llama.cpp folder whose tools do more than they should: before converting, after quantizing."""

    def llama_cpp(*, before_converting: str = "", after_quantizing: str = "") -> None:
        folder = tmp_path / "llama.cpp"
        folder.mkdir()
        converter = script_of(CONVERTER).read_text(encoding="utf-8")
        tools = {
            "convert_hf_to_gguf.py": before_converting + converter,
            "llama-quantize": QUANTIZER + after_quantizing,
        }
        for name, text in tools.items():
            path = folder / name
            path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
            path.chmod(0o755)
        monkeypatch.setenv("LLAMA_CPP_DIR", str(folder))
        monkeypatch.setenv("PYTHONPATH", str(root))

    return llama_cpp


@pytest.fixture
def trained(finished: Project) -> Project:
    """A project that was trained and merged, of which no file was made and no run was accepted."""
    root = finished.folder / ".recipe"
    for stage in ("verify", "quantize"):
        forget(root, stage)
    shutil.rmtree(root / "runs")
    (finished.folder / "recipe.lock.json").unlink()
    return finished


def run(project: Project, **changes: Any) -> tuple[Outcome, dict[str, Any]]:
    quantized = {"agreement": {"min": 0.9}} if "task" not in changes else {}
    export = {"formats": ["gguf"], "quantization": "Q8_0", "after_quantization": quantized}
    project.edit(export=export, **changes)
    outcome = project.run("run", str(project.recipe), "--store", str(project.folder / ".recipe"))
    return outcome, report(project.folder / ".recipe")


def refused(found: dict[str, Any]) -> dict[str, list[str]]:
    """The failed checks of each rung that has any."""
    failed = {
        rung["name"]: [one["name"] for one in rung["verdict"]["checks"] if one["status"] == "fail"]
        for rung in found["ladder"]
        if rung["verdict"]
    }
    return {name: checks for name, checks in failed.items() if checks}


def exported(project: Project) -> list[str]:
    return [path.name for path in (project.folder / ".recipe" / "runs").rglob("*.gguf")]


def test_sound_tools_of_ones_own_are_accepted(
    trained: Project, llama_cpp: Callable[..., None]
) -> None:
    llama_cpp()

    outcome, found = run(trained)

    assert (outcome.code, refused(found)) == (0, {}), outcome.err
    assert exported(trained)


def test_a_damaged_tensor_is_refused_and_the_file_does_not_leave(
    trained: Project, llama_cpp: Callable[..., None]
) -> None:
    llama_cpp(after_quantizing=NO_NUMBERS)

    outcome, found = run(trained)

    assert outcome.code == 1, outcome.err
    assert list(refused(found)) == ["Q8_0"]
    assert "finite" in refused(found)["Q8_0"]
    assert "REFUSED" in outcome.out + outcome.err
    assert exported(trained) == []


def test_a_chat_models_damaged_tensor_is_refused_too(
    project: Project, llama_cpp: Callable[..., None]
) -> None:
    llama_cpp(after_quantizing=NO_NUMBERS)
    turns = [
        [{"role": "user", "content": f"row {n}?"}, {"role": "assistant", "content": f"it is {n}"}]
        for n in range(90)
    ]
    rows = project.folder / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"messages": one}) for one in turns), encoding="utf-8")
    checks = dict.fromkeys(("leakage", "near_duplicates"), "off")

    outcome, found = run(
        project,
        task=CHAT["task"],
        data={"sources": [{"path": "rows.jsonl"}], "checks": checks, **CHAT["data"]},
        splits={"by": "random", "train": 40, "validation": 10, "holdout": 30},
        acceptance={"metrics": {"perplexity": {"max": 1e9}}, "decide_on": "point"},
        baselines=["zero_shot"],
    )

    assert outcome.code == 1, outcome.err
    assert "finite" in refused(found)["Q8_0"]
    assert exported(project) == []


def test_another_chat_template_in_the_file_is_refused(
    trained: Project, llama_cpp: Callable[..., None]
) -> None:
    llama_cpp(before_converting=OTHER_TEMPLATE)

    outcome, found = run(trained)

    assert outcome.code == 1, outcome.err
    assert "token_parity.template" in next(iter(refused(found).values()))
    assert exported(trained) == []
