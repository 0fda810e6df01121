"""What came of checking a bundle, as lines for people and as JSON."""

from __future__ import annotations

from typing import Any

from engine.bundle.verify import BundleVerdict, Checking

OWN_KEY = (
    "nobody here knows that key: nothing changed since it signed, and anybody may have signed; compare it with the one "
    "that its maker publishes, and name that with --key"
)
KNOWN_KEY = "that is a key you named, made or keep among your known keys"


def checked_text(found: Checking, *, name: str) -> str:
    """One line a claim, then who signed, then the answer."""
    lines = []
    for claim in found.claims:
        problem = f": {claim.problem}" if claim.problem else ""
        lines.append(f"{'ok' if claim.holds else 'FAILED':<8}{claim.what}{problem}")
    lines.append("")
    if found.signer:
        lines.append(f"signed by key {found.signer}")
        lines.append(KNOWN_KEY if found.is_known else OWN_KEY)
    what = f"{name} of {found.recipe}" if found.recipe else name
    broken = sum(not claim.holds for claim in found.claims)
    fails = "1 claim fails" if broken == 1 else f"{broken} claims fail"
    answer = {
        BundleVerdict.VERIFIED: f"VERIFIED  {what}",
        BundleVerdict.CONSISTENT: f"CONSISTENT, SIGNER UNKNOWN  {what}",
        BundleVerdict.NOT_VERIFIED: f"NOT VERIFIED  {what}: {fails}",
    }
    return "\n".join([*lines, answer[found.verdict]])


def checked_json(found: Checking) -> dict[str, Any]:
    """The same for programs."""
    return {
        "schema": "verified.v1",
        "verdict": found.verdict.value,
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
