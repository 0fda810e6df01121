"""Which file of a publication Ollama gets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from engine.evidence import Report, from_json
from engine.publish.contents import Publication
from engine.publish.files import PublishedFile
from engine.publish.ollama import file_and_modelfile
from support.paths import TESTS

REPORT = TESTS / "examples" / "reports" / "rich.json"
ONE = ("model-Q4_K_M.gguf", "Modelfile", "task.json")
SEVERAL = (
    *("F16/Modelfile", "Q4_K_M/Modelfile", "Q8_0/Modelfile"),
    *("model-F16.gguf", "model-Q4_K_M.gguf", "model-Q8_0.gguf"),
)


@pytest.mark.parametrize(
    ("names", "last", "expected"),
    [
        (ONE, "Q4_K_M", ONE[:2]),
        (SEVERAL, "Q8_0", ("model-Q8_0.gguf", "Q8_0/Modelfile")),
        (SEVERAL, "f16", ("model-F16.gguf", "F16/Modelfile")),
    ],
)
def test_of_several_it_is_the_one_that_was_asked_last(
    names: tuple[str, ...], last: str, expected: tuple[str, str]
) -> None:
    report = from_json(Report, json.loads(REPORT.read_text("utf-8")))
    ladder = (*report.ladder[:-1], dataclasses.replace(report.ladder[-1], name=last))
    files = tuple(PublishedFile(name=name, path=Path(name), bytes=1, sha256="") for name in names)
    publication = Publication(
        run=Path("run"),
        report=dataclasses.replace(report, ladder=ladder),
        forms=("gguf",),
        files=files,
        key="",
        later=(),
    )

    file, modelfile = file_and_modelfile(publication)

    assert (file.name, modelfile.name) == expected
