"""The bounds of `.ci/house.py` hold, and it measures what it says."""

import importlib.util
import json
import subprocess
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
    bounds = house.read_bounds()
    counts = house.measure(ROOT)
    beyond = {count.name: count.items for count in counts if house.is_beyond(count, bounds)}

    assert {count.name for count in counts} == set(bounds)
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


def test_sizes_and_names_are_counted(house: ModuleType, tmp_path: Path) -> None:
    once = "LIMIT = 3\n\ndef _f():\n    return g()\n\ndef g():\n    return _h() + _h() + _f\n\ndef _h():\n    pass\n"
    text = (
        f'"""A docstring of many words."""\nx: str = """{"word " * 40}\n"""\nshort = "two words"\n'
    )
    root = write(tmp_path, engine__a__same=once, engine__b__same=text, tests__unit__test_x="\n" * 7)
    (root / "tests" / "unit" / "rows.jsonl").write_text("{}\n" * 5, encoding="utf-8")
    counts = {count.name: count for count in house.measure(root)}

    assert counts["private functions with one caller"].items == ("engine.a.same._f",)
    assert counts["file names used twice or more"].items == ("same: engine.a.same engine.b.same",)
    assert counts["module constants"].items == ("engine.a.same.LIMIT",)
    assert counts["lines of prose in strings"].value == 2
    assert counts["strings of over 160 characters"].items == ("engine.b.same:2 201",)
    assert counts["lines of tests"].value == 7
    assert counts["lines of fixtures"].value == 5


def test_the_check_fails_beyond_a_bound(
    house: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "noqa in engine/"
    monkeypatch.setattr(house, "measure", lambda _: [house.Count(name=name, value=3)])
    monkeypatch.setattr(house, "read_bounds", lambda: {name: 2})
    monkeypatch.setattr(house, "raised_bounds", lambda _: [])

    assert house.main(["--check"]) == 1
    assert "beyond" in capsys.readouterr().out
    assert house.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)[name] == {"value": 3, "bound": 2, "items": []}


def test_a_bound_rises_only_with_a_decision_and_falls_freely(
    house: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ["lines in engine/", "module constants", house.AT_LEAST, "lines of tests"]
    monkeypatch.setattr(house, "ROOT", tmp_path)
    (tmp_path / ".ci").mkdir()
    pages = tmp_path / "docs" / "decisions"
    pages.mkdir(parents=True)
    commit(tmp_path, dict(zip(names, [100, 10, 1.0, 50], strict=True)))
    commit(tmp_path, dict(zip(names[:3], [90, 12, 0.5], strict=True)))

    raised = house.raised_bounds(house.read_bounds())
    assert [line.split(":")[0] for line in raised] == names[1:]

    (pages / "0001-sizes.md").write_text(f"{names[1]} {names[2]} {names[3]}\n", encoding="utf-8")
    commit(tmp_path, dict(zip(names, [90, 13, 0.4, 50], strict=True)))
    assert house.raised_bounds(house.read_bounds()) == []

    worse = house.Count(name=names[0], value=95)
    better = house.Count(name=names[1], value=5)
    assert house.lowered([worse, better], {names[0]: 90, names[1]: 13}) == {
        names[0]: 90,
        names[1]: 5,
    }


def commit(root: Path, bounds: dict[str, float]) -> None:
    """Commit these bounds, and whatever else is there."""
    (root / ".ci" / "bounds.json").write_text(json.dumps(bounds), encoding="utf-8")
    git = ["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "bounds"]):
        subprocess.run([*git, *words], check=True)
