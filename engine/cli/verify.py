"""Check a bundle offline: its bytes, digests and verdicts, and who signed it."""

from __future__ import annotations

import argparse

from engine.bundle.report import checked_json, checked_text
from engine.bundle.verify import BundleVerdict, check_bundle
from engine.cli.output import show_result
from engine.errors import ExitCode


def run(options: argparse.Namespace) -> int:
    """Return 0 when every claim holds and the signer is known, 6 when nobody knows who signed, else 1."""
    # After the arguments are known good.

    found = check_bundle(options.bundle, model=options.model, key=options.key)
    show_result(options, checked_json(found), checked_text(found, name=options.bundle.name))
    codes = {
        BundleVerdict.VERIFIED: ExitCode.ACCEPTED,
        BundleVerdict.CONSISTENT: ExitCode.UNKNOWN_SIGNER,
        BundleVerdict.NOT_VERIFIED: ExitCode.REFUSED,
    }
    return codes[found.verdict]
