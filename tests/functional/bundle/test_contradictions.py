"""A bundle that was changed and signed anew, with digests that fit, is never verified: the fact is named."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.bundle.archive import read_archive
from engine.bundle.build import make_bundle
from engine.bundle.verify import BundleVerdict, Checking, check_bundle
from support.forged_bundles import (
    LOCK,
    REPORT,
    RESOLVED,
    ZEROS,
    Change,
    Forge,
    accepted_by_a_weaker_recipe,
    another_page,
    better_end_everywhere,
    better_everywhere,
    bound_lower,
    confusion_of_a_better_model,
    more,
    page_more,
    put,
    without,
)
from support.json_mutation import mutated
from support.project import Outcome
from support.runs import run_folders

pytestmark = pytest.mark.thorough

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def bundle(accepted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the accepted run, without its model."""
    folder = tmp_path_factory.mktemp("consistent")
    (run,) = run_folders(accepted / ".recipe")
    key = folder / "key.pem"
    private = Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return make_bundle(run, folder / "whole.tar", key=key).file


@pytest.fixture
def forge(bundle: Path) -> Forge:
    files = {one.name: one.data or b"" for one in read_archive(bundle)}
    return Forge(files=files, report=json.loads(files[REPORT]), lock=json.loads(files[LOCK]))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def told(found: Checking) -> str:
    return "; ".join(claim.problem for claim in found.claims if not claim.holds)


CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    # checks
    "no gate": (put(None, "gate"), "gate has no checks"),
    "no checks in the gate": (put([], "gate", "checks"), "gate has no checks"),
    "no checks in verify": (put([], "verify", "checks"), "verify has no checks"),
    "no verify": (put(None, "verify"), "verify has no checks"),
    "a check of the gate is missing": (
        put(
            [
                {
                    "name": "accuracy",
                    "status": "pass",
                    "got": 1.0,
                    "direction": "min",
                    "bound": 0.01,
                    "decided_on": "lower bound",
                    "n": 40,
                    "interval": None,
                }
            ],
            "gate",
            "checks",
        ),
        "gate has no check of macro_f1",
    ),
    "parity is missing": (without("parity.merged"), "no check of parity.merged"),
    "parity of 16 bits is missing": (without("parity.f16"), "no check of parity.f16"),
    "token parity is missing": (without("token_parity"), "no check of token_parity"),
    "a lower bound": (bound_lower, "bound by 0.001"),
    "a lower parity": (
        lambda forge: [one.update(bound=0.1) for one in forge.check("parity.merged")],
        "parity.merged is bound by 0.1",
    ),
    "another direction": (
        lambda forge: [one.update(direction="max") for one in forge.check("macro_f1")],
        "macro_f1",
    ),
    "decided on the point": (
        lambda forge: [one.update(decided_on="point") for one in forge.check("macro_f1")],
        "on the point",
    ),
    "got more": (
        lambda forge: [one.update(got=0.99) for one in forge.check("macro_f1")],
        "macro_f1 got 0.99",
    ),
    "on other rows": (
        lambda forge: [one.update(n=4000) for one in forge.check("macro_f1")],
        "stands on 4000 rows",
    ),
    "a check twice": (
        lambda forge: forge.report["gate"]["checks"].append(forge.report["gate"]["checks"][0]),
        "has a check twice",
    ),
    "fails and passes": (
        lambda forge: [one.update(status="fail") for one in forge.check("macro_f1")],
        "its checks say `fail`",
    ),
    "a failing verdict": (put("fail", "gate", "status"), "gate is `fail`"),
    "passes below its bound": (
        lambda forge: [one.update(got=0.5) for one in forge.check("parity.merged")],
        "parity.merged passes, its numbers do not",
    ),
    "a rung that failed": (
        put("fail", "ladder", 1, "verdict", "checks", 0, "status"),
        "that the rung merged has",
    ),
    # scores
    "better value": (
        lambda forge: forge.metric("macro_f1").update(value=0.99),
        "macro_f1 is 0.99",
    ),
    "better everywhere": (better_everywhere, "the confusion matrix gives"),
    "a better end everywhere": (better_end_everywhere, "the interval of macro_f1"),
    "another confusion": (put(more(1), "holdout", "confusion", 0, 0), "confusion matrix counts"),
    "a swapped confusion": (confusion_of_a_better_model, "answers of the lock"),
    "a table that is too good": (put(1.0, "holdout", "classes", 0, "f1"), "in the table"),
    "more support": (put(99, "holdout", "classes", 0, "support"), "support of"),
    "fewer rows": (put(39, "holdout", "rows"), "39 rows"),
    "better free decoding": (
        lambda forge: forge.metric("accuracy", "free").update(value=1.0),
        "free: accuracy is 1.0",
    ),
    "better file": (
        lambda forge: forge.metric("accuracy", "quantized").update(value=1.0),
        "quantized: accuracy is 1.0",
    ),
    "another confidence": (
        lambda forge: forge.metric("accuracy")["interval"].update(confidence=0.5),
        "is one of 0.5",
    ),
    "a weaker baseline": (
        put(0.0, "baselines", 0, "scores", "metrics", 0, "value"),
        "baseline majority: accuracy is 0",
    ),
    "a baseline left out": (
        lambda forge: forge.report["baselines"].pop(),
        "the recipe asks for",
    ),
    "a baseline that passes": (
        put(lambda old: not old, "baselines", 0, "passes"),
        "baseline majority is reported to",
    ),
    "a gain made up": (put(0.9, "comparisons", 0, "difference"), "the scores say"),
    "a smaller p-value": (put(1e-9, "comparisons", 0, "p_adjusted"), "is corrected to 1e-09"),
    # lock
    "value in the lock": (
        put(0.99, "accepted", "metrics", "macro_f1", "value", of="lock"),
        "value of macro_f1",
    ),
    "end in the lock": (
        put(1.0, "accepted", "metrics", "macro_f1", "high", of="lock"),
        "high of macro_f1",
    ),
    "rows in the lock": (
        put(9, "accepted", "metrics", "macro_f1", "n", of="lock"),
        "stands on 40 rows in the report, on 9 in the lock",
    ),
    "a metric only in the report": (
        lambda forge: forge.accepted["metrics"].pop("accuracy"),
        "accuracy is in the report and not in the lock",
    ),
    "verdict in the lock": (
        put("fail", "accepted", "verdicts", "gate", of="lock"),
        "`fail` in the lock",
    ),
    "no verdicts in the lock": (
        put({}, "accepted", "verdicts", of="lock"),
        "`None` in the lock",
    ),
    "files in the lock": (
        lambda forge: forge.accepted["files"].update({"model-Q4_K_M.gguf": ZEROS}),
        "report and lock have other files",
    ),
    "holdout in the lock": (
        put(ZEROS, "splits", "holdout", "digest", of="lock"),
        "other rows in a split",
    ),
    "rows of the holdout in the lock": (
        put(400, "splits", "holdout", "rows", of="lock"),
        "holdout has 40 rows in the report, 400 in the lock",
    ),
    "accepted rows": (
        put(ZEROS, "accepted", "splits", "holdout", of="lock"),
        "accepted run have other rows",
    ),
    "rows that were read": (
        lambda forge: forge.accepted.update(rows=9000, fingerprints=None),
        "9000 in the lock",
    ),
    "another draw": (
        put(8, "draw", "splits.seed", of="lock"),
        "the lock records another draw",
    ),
    "looks turned back": (put(0, "holdout_use", "looks"), "has decided 0 times"),
    "redraws": (put(3, "holdout", "redraws", of="lock"), "was redrawn"),
    "firewall": (put(7, "firewall", "found_exact", of="lock"), "of the firewall"),
    "recipe digest": (
        put(ZEROS, "accepted", "recipe", "digest", of="lock"),
        "the resolved recipe has the digest",
    ),
    "recipe sections": (
        put("0" * 16, "accepted", "recipe", "sections", "acceptance", of="lock"),
        "other digests of the recipe's sections",
    ),
    "seed in the lock": (
        put(99, "accepted", "recipe", "seed", of="lock"),
        "the seed 99",
    ),
    "config in the lock": (
        put(ZEROS, "accepted", "config", of="lock"),
        "another sha256 than the lock says",
    ),
    "answers in the lock": (
        lambda forge: forge.accepted["answers"].update(
            entries=base64.b64encode(bytes(160)).decode()
        ),
        "answers of the lock",
    ),
    "name in the lock": (put("other", "recipe", of="lock"), "the lock is of `other`"),
    "no accepted run": (
        lambda forge: forge.lock.update(accepted=None),
        "accepted",
    ),
    # report
    "name in the report": (put("other", "recipe_name"), "the report is of `other`"),
    "outcome": (put("refused", "outcome"), "the run ended `refused`"),
    "a stage that did not run": (
        lambda forge: forge.report["stages"].pop(),
        "stage verify did not run",
    ),
    "a stage that failed": (put("failed", "stages", 3, "status"), "did not run"),
    "labels": (put(["a", "b"], "labels"), "another `labels`"),
    "base model": (put("a better one", "base_model"), "another `base_model`"),
    "method": (put("full on a better one", "method"), "another `method`"),
    "description": (put("Certified.", "description"), "another `description`"),
    "waivers": (put([{"what": "W1", "why": "so"}], "waivers"), "another `waivers`"),
    "rows used": (put(more(5), "data", "rows_used"), "rows were used"),
    "labels of a split": (
        put(99, "data", "splits", 2, "labels", "negative"),
        "the labels of holdout are those of",
    ),
    "agreement": (put(1.5, "agreement"), "agreement is 1.5"),
    "config in the report": (
        put(lambda old: old + "#", "backend_config"),
        "backend-config.yaml is not the one in the report",
    ),
    # files
    "a weaker recipe": (accepted_by_a_weaker_recipe, "asks for something else than"),
    "another recipe as written": (
        lambda forge: forge.replace("min: 0.01", "min: 0.9", "recipe.yaml"),
        "recipe.yaml asks for something else",
    ),
    "a bound taken out": (
        lambda forge: forge.replace("    macro_f1:\n      min: 0.01\n", "    {}\n", RESOLVED),
        "recipe",
    ),
    "model card": (page_more("README.md", b"\nCertified.\n"), "README.md is not the page"),
    "page": (page_more("report.html", b"<p>Certified</p>"), "report.html is not the page"),
    "model card of another version": (
        page_more("README.md", b"\nIt reaches a macro-F1 of 0.98765.\n", version="0.1.0"),
        "README.md says 0.98765",
    ),
    "page of another version": (
        page_more("report.html", b"<p>0.98765</p>", version="0.1.0"),
        "report.html says 0.98765",
    ),
    "another page of another version": (another_page, "README.md does not name `tiny`"),
    # statement
    "verdicts in the statement": (
        lambda forge: forge.statement.update(verdicts={}),
        "`verdicts` is {} in the statement",
    ),
    "metrics in the statement": (
        lambda forge: forge.statement.update(metrics={"macro_f1": {"value": 1.0}}),
        "`metrics` is",
    ),
    "recipe in the statement": (
        lambda forge: forge.statement.update(recipe={"name": "other"}),
        "`recipe` is",
    ),
    "more in the statement": (
        lambda forge: forge.statement.update(certified=True),
        "`certified` is true in the statement",
    ),
    "outcome in the statement": (
        lambda forge: forge.statement.update(outcome="certified"),
        "`outcome` is",
    ),
}


def test_a_bundle_signed_anew_without_a_change_is_consistent_and_its_signer_unknown(
    forge: Forge, tmp_path: Path, run: Run
) -> None:
    path = forge.signed(tmp_path / "same.tar")
    shown = run("verify", str(path))
    as_json = json.loads(run("verify", str(path), "--format", "json").out)

    assert check_bundle(path).verdict is BundleVerdict.CONSISTENT, told(check_bundle(path))
    assert shown.code == 6
    assert "CONSISTENT, SIGNER UNKNOWN" in shown.out
    assert "VERIFIED" not in shown.out
    assert (as_json["verdict"], as_json["holds"]) == ("consistent, signer unknown", True)


def test_a_known_key_makes_it_verified(bundle: Path, home: Path, tmp_path: Path, run: Run) -> None:
    key = next(one.data for one in read_archive(bundle) if one.name == "signer.pem") or b""
    named = tmp_path / "maker.pub"
    named.write_bytes(key)
    by_option = run("verify", str(bundle), "--key", str(named))
    before = run("verify", str(bundle))
    (home / "slm-recipe" / "known-keys").mkdir(parents=True)
    (home / "slm-recipe" / "known-keys" / "maker.pem").write_bytes(key)
    (home / "slm-recipe" / "known-keys" / "broken.pem").write_bytes(b"no key")
    by_folder = run("verify", str(bundle))

    assert (by_option.code, before.code, by_folder.code) == (0, 6, 0)
    assert by_folder.out.splitlines()[-1].startswith("VERIFIED")


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_named_whoever_signed(name: str, forge: Forge, tmp_path: Path) -> None:
    change, named = CONTRADICTIONS[name]
    change(forge)

    found = check_bundle(forge.signed(tmp_path / "forged.tar"))

    assert found.verdict is BundleVerdict.NOT_VERIFIED
    assert named in told(found), told(found)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("which", ["report", "lock"])
def test_mutations_of_report_and_lock_are_told_and_never_a_bug(
    which: str, seed: int, forge: Forge, tmp_path: Path
) -> None:
    setattr(forge, which, mutated(getattr(forge, which), seed))

    check_bundle(forge.signed(tmp_path / "mutated.tar"))
