"""Each exporter of the table keeps the contract; what each adds stands below."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.environment import Device, version_of
from engine.exporters import EXPORTERS, in_order, load_exporter
from engine.inference import predict, predict_gguf
from engine.inference.predict import PredictionInputs
from engine.recipe.model import ONNX
from engine.values import replace
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


HERE = [name for name in EXPORTERS if not load_exporter(name).check(version_of)]
"""The formats whose libraries are installed."""


GRAPH = [pytest.mark.slow, pytest.mark.skipif(ONNX not in HERE, reason="needs the extra onnx")]
"""Marks of the graph, whose export takes ten seconds."""


def of_graph(test: Any) -> Any:
    """Mark a test as one of the graph."""
    for mark in GRAPH:
        test = mark(test)
    return test


class Exports(dict[str, Any]):
    """Every format once and when it is asked for, each in its own folder beside the files it requires."""

    def __init__(self, model: Path, factory: pytest.TempPathFactory) -> None:
        super().__init__()
        self.model, self.factory = model, factory

    def __missing__(self, name: str) -> Any:
        """Export the model: the files, and the folders that hold them."""
        workdir = self.factory.mktemp(name)
        files = load_exporter(name).export(self.model, SPEC, workdir, Silent())
        self[name] = (files, (workdir, self.model.parent))
        return self[name]


@pytest.fixture(scope="module")
def exports(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(model, tmp_path_factory)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=GRAPH if name == ONNX else ()) for name in EXPORTERS],
    scope="class",
)
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


def test_a_missing_runtime_of_graphs_is_named_with_its_extra() -> None:
    def find_version(name: str) -> str | None:
        return None if name == "onnxruntime" else "1.0"

    (problem,) = load_exporter(ONNX).check(find_version)

    assert problem.message == "the export to `onnx` needs onnxruntime"
    assert (problem.code, problem.hint) == ("X814", "uv sync --extra onnx")


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


@of_graph
def test_a_graph_answers_as_the_model_does(
    model: Path, exports: dict[str, Any], tmp_path: Path
) -> None:
    from engine.runtime.models.load import load_model

    asked = PredictionInputs(task=TASK, max_length=256, answers=())
    rows = [
        Example(id=f"{at:016x}", origin="", input="a fine film " * at, target="good")
        for at in range(1, 6)
    ]
    device = Device(kind="cpu", name="test", memory_bytes=0, cores=1, bf16=False)
    loaded = load_model(model, device=device, precision="fp32")
    graph = exports[ONNX][1][0] / ONNX

    found = predict_gguf.ask_exported(
        graph, asked, rows, chat=loaded.chat, threads=1, progress=Silent()
    )

    right = predict.judged(loaded, asked, rows, progress=Silent())
    assert [one.label for one in found.judged] == [one.label for one in right]
    for one, other in zip(found.judged, right, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
    assert found.facts["parity"][ONNX] == {"same": 5, "of": 5, "first_different": None}


@of_graph
def test_the_same_model_gives_the_same_bytes_and_16_bits_are_half(
    model: Path, exports: dict[str, Any], tmp_path: Path
) -> None:
    again, half = tmp_path / "again", tmp_path / "half"
    for folder in (again, half):
        folder.mkdir()

    files = load_exporter(ONNX).export(model, SPEC, again, Silent())
    halves = load_exporter(ONNX).export(model, replace(SPEC, precision="fp16"), half, Silent())

    assert files == exports[ONNX][0]
    sizes = [
        sum(file.bytes for file in made if file.name.endswith(".data")) for made in (files, halves)
    ]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.01)


@of_graph
def test_no_place_of_this_machine_stands_in_a_graph(exports: dict[str, Any]) -> None:
    files, (workdir, _) = exports[ONNX]

    texts = [(workdir / file.name).read_bytes() for file in files]
    assert not [text for text in texts for place in (b"site-packages", b"/tmp") if place in text]
