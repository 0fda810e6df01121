"""Explain an error code: what it means, why the rule stands, what to do; or, to a coding agent, how to use all this.

`recipe explain skill` prints SKILL.md, which agents read from a folder such as `.claude/skills/slm-recipe`.
"""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from pathlib import Path
from textwrap import indent

from engine.cli.output import show
from engine.errors import RecipeError
from engine.recipe.rules import all_codes, code_page


def run(options: argparse.Namespace) -> None:
    if not options.code:
        show("\n".join(f"{code}  {page.title}" for code, page in all_codes().items()))
        return
    if options.code == "skill":
        show(skill())
        return
    page = code_page(options.code)
    if page is None:
        near = get_close_matches(options.code.upper(), list(all_codes()), 3)
        hint = f"near: {', '.join(near)}" if near else "recipe explain lists all codes"
        raise RecipeError.one("R003", f"there is no code `{options.code}`", hint=hint)
    show(f"{options.code.upper()}  {page.title}\n\n{page.why}\n\nfix: {page.fix}")
    if page.wrong:
        parts = (page.wrong.replace("▸", ""), page.right)
        wrong, right = (indent(part, "  ") for part in parts)
        show(f"\nwrong:\n\n{wrong}\n\nright:\n\n{right}")


def skill() -> str:
    return Path(__file__).with_name("SKILL.md").read_text(encoding="utf-8")
