"""Every code has one page, in the range of its area."""

import re

import pytest

from engine.codes import all_codes, code_page
from support.paths import ROOT

ENGINE = ROOT / "engine"
CODE = re.compile(r"\"([RDBGXEIW]\d{3})\"")


def test_codes_are_sorted_and_well_formed() -> None:
    codes = list(all_codes())

    assert sorted(codes) == codes
    assert all(re.fullmatch(r"[RDBGXEIW]\d{3}", code) for code in codes)


def test_every_page_says_what_why_and_what_to_do() -> None:
    for code, page in all_codes().items():
        assert "" not in (page.title, page.why, page.fix), code
        assert not page.title.endswith("."), code


@pytest.mark.parametrize("written", ["R104", "r104"])
def test_a_page_is_found_in_any_case(written: str) -> None:
    assert code_page(written) == all_codes()["R104"]


def test_an_unknown_code_has_no_page() -> None:
    assert code_page("Z999") is None


def test_every_code_in_the_source_has_a_page() -> None:
    used = {
        code
        for path in ENGINE.rglob("*.py")
        if path.parent.name != "codes"
        for code in CODE.findall(path.read_text(encoding="utf-8"))
    }

    assert set() == used - set(all_codes())
