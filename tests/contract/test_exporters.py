"""Each exporter of the table keeps the contract; what each adds stands below."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.exporters import EXPORTERS, in_order, load_exporter
from support.exporter_suite import SPEC, TASK, ExporterSuite
from support.pico import make_pico_model


class Silent:
    """Hears progress."""

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Hear it."""

    def note(self, text: str) -> None:
        """Hear it."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("merge") / "model")


@pytest.fixture(scope="module")
def exports(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every format once, each in its own folder beside the files it requires."""
    found = {}
    for name in EXPORTERS:
        workdir = tmp_path_factory.mktemp(name)
        files = load_exporter(name).export(model, SPEC, workdir, Silent())
        found[name] = (files, (workdir, model.parent))
    return found


@pytest.mark.parametrize("name", list(EXPORTERS), scope="class")
class TestExporter(ExporterSuite):
    @pytest.fixture
    def exporter(self, name: str) -> Any:
        return load_exporter(name)

    @pytest.fixture
    def exported(self, name: str, exports: dict[str, Any]) -> Any:
        return exports[name]


def test_formats_run_in_the_order_of_the_table_with_what_they_require() -> None:
    assert in_order(("ollama", "safetensors")) == ("safetensors", "gguf", "ollama")


def test_the_gguf_file_tells_its_real_bits_and_fallbacks(exports: dict[str, Any]) -> None:
    file = exports["gguf"][0][0]

    assert (file.name, file.tensors, file.fallback_tensors) == ("model-Q4_K_M.gguf", 20, 15)
    assert file.bits_per_weight == pytest.approx(6.56, abs=0.01)


def test_a_missing_quantizer_is_reported_before_anything_runs() -> None:
    problems = load_exporter("gguf").check(lambda name: None if name == "inferna" else "1.0")

    assert [problem.code for problem in problems] == ["X630"]


def test_the_modelfile_writes_what_the_chat_template_writes(exports: dict[str, Any]) -> None:
    _, (workdir, _) = exports["ollama"]

    expected = """\
# ollama create NAME -f Modelfile
# The model was trained on messages of this form: the instruction, a blank line, the text.
#   Is it good, bad?
#
#   TEXT
FROM ./model-Q4_K_M.gguf
TEMPLATE \"\"\"{{ range $i, $_ := .Messages }}{{ if eq .Role "user" }}{{ if eq $i 0 }}<|im_start|>user
{{ end }}{{ .Content }}<|im_end|>
<|im_start|>assistant
{{ else if eq .Role "assistant" }}{{ .Content }}{{ if lt 1 (len (slice $.Messages $i)) }}<|im_end|>
<|im_start|>user
{{ end }}{{ else if eq .Role "system" }}<|im_start|>system
{{ .Content }}<|im_end|>
<|im_start|>user
{{ end }}{{ end }}\"\"\"
SYSTEM \"\"\"Be brief.\"\"\"
PARAMETER stop \"\"\"<|im_end|>\"\"\"
PARAMETER temperature 0
"""
    assert expected == (workdir / "Modelfile").read_text()


def test_the_task_stands_beside_the_gguf_file(exports: dict[str, Any]) -> None:
    _, (workdir, _) = exports["gguf"]

    task = json.loads((workdir / "task.json").read_text())
    assert (list(TASK.labels), ["good<|im_end|>", "bad<|im_end|>"]) == (
        task["task"]["labels"],
        task["answers"],
    )
