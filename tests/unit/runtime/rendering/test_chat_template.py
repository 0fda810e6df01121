"""A template writes the same text on every day, and what it leaves open is known."""

import pytest

from engine.errors import StageError
from engine.runtime.rendering.chat import left_open, with_fixed_date
from support.model_families import FAMILIES


@pytest.mark.parametrize(
    ("template", "fixed"),
    [
        ("{{ strftime_now('%Y-%m-%d') }}", '{{ "2024-07-26" }}'),
        ('{%- set d = strftime_now( "%d %b %Y" ) %}', '{%- set d = "26 Jul 2024" %}'),
        ("{% if strftime_now is defined %}a{% endif %}", "{% if true %}a{% endif %}"),
        ("{% if strftime_now is not defined %}a{% endif %}", "{% if false %}a{% endif %}"),
        ("{{ messages[0].content }}", "{{ messages[0].content }}"),
    ],
)
def test_the_date_is_the_same_on_every_day(template: str, fixed: str) -> None:
    assert with_fixed_date(template) == fixed


@pytest.mark.parametrize(
    "template",
    [
        "{% set form = '%H' %}{{ strftime_now(form) }}",
        "{% set now = strftime_now %}{{ now('%H') }}",
        "{{ ['a', 'b'] | random }}",
        "{{ lipsum() }}",
    ],
)
def test_a_template_that_changes_otherwise_is_refused(template: str) -> None:
    with pytest.raises(StageError, match="X670"):
        with_fixed_date(template)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_templates_of_known_families_are_kept_but_for_the_date(name: str) -> None:
    template = FAMILIES[name].text()

    assert (with_fixed_date(template) == template) == ("strftime_now" not in template)


@pytest.mark.parametrize(
    ("opening", "found"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|im_start|>assistant\n", ""),
        ("<start_of_turn>model\n", ""),
        ("[/INST][THINK]", "<THINK>"),
    ],
)
def test_a_block_that_stays_open_is_found(opening: str, found: str) -> None:
    assert left_open(opening, "{{ '<think>' }} </think> [THINK][/THINK]") == found
