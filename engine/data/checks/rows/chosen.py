"""Which checks of single rows a recipe asks for."""

from __future__ import annotations

from engine.data.checks.rows.base import RowCheck, TraitCheck
from engine.data.checks.rows.control_characters import ControlCharactersCheck
from engine.data.checks.rows.languages import LanguagesCheck
from engine.data.checks.rows.mojibake import MojibakeCheck
from engine.data.checks.rows.output_format import OutputFormatCheck
from engine.data.checks.rows.personal_data import PersonalDataCheck, PersonalDataMask
from engine.data.checks.rows.template_tokens import TemplateTokensCheck
from engine.kinds import AnswerForm
from engine.recipe.model import Checks, Task


def row_checks(task: Task, checks: Checks) -> tuple[RowCheck, ...]:
    """Return the checks that look at one row and are not off; `mask` looks for nothing."""
    del task
    every: tuple[RowCheck, ...] = (
        MojibakeCheck(checks.mojibake),
        ControlCharactersCheck(checks.control_characters),
        TemplateTokensCheck(checks.template_tokens),
        PersonalDataCheck(checks.personal_data),
    )
    return tuple(check for check in every if check.action not in ("off", "mask"))


def trait_checks(task: Task, checks: Checks) -> tuple[TraitCheck, ...]:
    """Return the checks that compare rows by a trait and are not off."""
    every: list[TraitCheck] = [LanguagesCheck(checks.languages)]
    if task.spec.answer is AnswerForm.TEXT:  # the engine itself writes the answers of other forms
        every.append(OutputFormatCheck(checks.output_format))
    return tuple(check for check in every if check.action != "off")


def masks(checks: Checks) -> tuple[PersonalDataMask, ...]:
    """Return what rewrites rows before anything else sees them; only `personal_data: mask` does."""
    return (PersonalDataMask(),) if checks.personal_data == "mask" else ()
