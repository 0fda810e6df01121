"""The bounds of `.ci/house.py` hold, and it measures what it says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from support.paths import ROOT


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", ROOT / ".ci" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["house"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "tests").mkdir(exist_ok=True)
    return root


@pytest.mark.thorough
def test_every_bound_is_kept(house: ModuleType) -> None:
    beyond = {
        count.name: (count.value, count.items)
        for count in house.measure(ROOT)
        if count.verdict() == "beyond"
    }

    assert beyond == {}


def test_a_circle_is_found_once_and_a_package_is_not_its_module(
    house: ModuleType, tmp_path: Path
) -> None:
    root = write(
        tmp_path,
        engine__a__one="from engine.b import two\n",
        engine__b__two="from engine.a.three import x\n",
        engine__a__three="import engine.a.one\nx = 1\n",
        engine__c="def f():\n    from engine import d\n",
        engine__d="from engine import c\n",
    )
    counts = {count.name: count for count in house.measure(root)}

    assert counts["import circles among modules"].items == (
        "engine.a.one engine.a.three engine.b.two",
    )
    assert counts["import circles among packages"].items == ("engine.a engine.b",)
    assert counts["circles by imports of every kind"].items == (
        "engine.a.one engine.a.three engine.b.two",
        "engine.c engine.d",
    )
    assert counts["files at the root of engine/"].items == ("c.py", "d.py")


def test_private_words_are_counted_in_names_and_prose_and_keys_are_left_alone(
    house: ModuleType, tmp_path: Path
) -> None:
    text = (
        '"""What it told."""\nwas_told = {"told": 1}\nFreeSpeech = f"{was_told} said"  # untold\n'
    )
    counts = {count.name: count for count in house.measure(write(tmp_path, engine__x=text))}

    assert set(counts["private words in engine/"].items) == {
        "told 3", "said 1", "speech 1", "FreeSpeech 1",
    }  # fmt: skip


def test_in_tests_private_words_are_counted_in_names_and_prose_and_texts_are_data(
    house: ModuleType, tmp_path: Path
) -> None:
    text = '"""It told."""\n\n# foretold\nx = "told"\ndef f(said: str) -> str:\n    """Spoken."""\n    return "said"\n'
    root = write(tmp_path, tests__unit__test_x=text, benchmarks__y="weighed = 1\n")
    (root / "docs").mkdir()
    (root / "docs" / "page.md").write_text("What was told.\n", encoding="utf-8")
    (root / "docs" / "glossary.md").write_text("| told |\n", encoding="utf-8")
    counts = {count.name: count for count in house.measure(root)}

    assert counts["private words in tests/, benchmarks/"].items == (
        "benchmarks/y.py: weighed 1",
        "tests/unit/test_x.py: foretold 1",
        "tests/unit/test_x.py: said 1",
        "tests/unit/test_x.py: spoken 1",
        "tests/unit/test_x.py: told 1",
    )
    assert counts["private words in docs/, news/"].items == ("docs/page.md: told 1",)


def test_lines_of_code_are_those_that_run(house: ModuleType, tmp_path: Path) -> None:
    text = '"""Text\nof two lines."""\n\n# why\nx = (\n    1,\n)\n"""Of x."""\ny = """a\nb"""  # noqa: X1\n'
    counts = {count.name: count for count in house.measure(write(tmp_path, engine__x=text))}

    assert counts["code lines in engine/"].value == 5
    assert counts["own-line comments, % of lines"].items == ("1 of 10 lines",)
    assert counts["noqa in engine/"].value == 1


def test_the_check_fails_beyond_a_bound(
    house: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "noqa in engine/"
    monkeypatch.setattr(house, "measure", lambda _: [house.Count(name=name, value=3)])
    monkeypatch.setattr(house, "BOUNDS", {name: ("<=", 2)})

    assert house.main(["--check"]) == 1
    assert "beyond" in capsys.readouterr().out
    assert house.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)[name]["value"] == 3
