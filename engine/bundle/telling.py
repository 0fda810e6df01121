"""What came of checking a bundle, as lines for people and as JSON."""

from __future__ import annotations

from typing import Any

from engine.bundle.checking import Checking

OWN_KEY = (
    "the key comes with the bundle: it shows that nothing changed since, not whose it is; compare it with the one "
    "that its maker publishes, or name that with --key"
)


def checked_text(found: Checking, *, name: str) -> str:
    """One line a claim, then who signed, then the answer."""
    lines = []
    for claim in found.claims:
        told = f": {claim.problem}" if claim.problem else ""
        lines.append(f"{'ok' if claim.holds else 'FAILED':<8}{claim.what}{told}")
    lines.append("")
    if found.signer:
        lines.append(f"signed by key {found.signer}")
        lines.append("that is the key you named" if found.is_known else OWN_KEY)
    broken = sum(not claim.holds for claim in found.claims)
    what = f"{name} of {found.recipe}" if found.recipe else name
    answer = f"VERIFIED  {what}" if found.holds else f"NOT VERIFIED  {what}: {broken} claims fail"
    return "\n".join([*lines, answer.replace(": 1 claims fail", ": 1 claim fails")])


def checked_json(found: Checking) -> dict[str, Any]:
    """The same for programs."""
    return {
        "schema": "verified.v1",
        "holds": found.holds,
        "recipe": found.recipe,
        "signer": found.signer or None,
        "signer_is_known": found.is_known,
        "claims": [
            {"what": claim.what, "holds": claim.holds, "problem": claim.problem}
            for claim in found.claims
        ],
        "subjects": [dict(one) for one in found.subjects],
    }
