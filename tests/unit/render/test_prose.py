"""Sentences in which labels stand between backticks, whatever the labels hold."""

import pytest

from engine.render.blocks import Prose
from engine.render.html.elements import inline
from engine.render.markdown import prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`a` is taken for `b` twice", "`a` is taken for `b` twice"),
        ("`a`b` is taken for `c`d` twice", "``a`b`` is taken for ``c`d`` twice"),
        ("`a`b` is taken for `c`", "``a`b`` is taken for `c`"),
        ("(`a`, `b`): ``c`` and `d", "(`a`, `b`): `` `c` `` and \\`d"),
        ("5` of rows", "5\\` of rows"),
    ],
)
def test_a_label_with_a_backtick_stays_whole_in_markdown(text: str, shown: str) -> None:
    assert prose(text) == shown


def test_a_label_with_a_backtick_stays_whole_on_the_page() -> None:
    shown = inline(Prose("`a`b` is taken for `c` twice"))

    assert shown == "<code>a`b</code> is taken for <code>c</code> twice"
