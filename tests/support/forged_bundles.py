"""Bundles whose evidence was changed and signed anew."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.bundle.contents import pages_of
from engine.bundle.signing import pem_of, sign, statement_of, to_bytes
from engine.bundle.tar_archive import write_archive
from engine.evidence import Report
from engine.lock.file import Accepted
from engine.process import __version__
from engine.values import from_json

REPORT, LOCK, RESOLVED = "report.json", "recipe.lock.json", "recipe.resolved.yaml"
ZEROS = "0" * 64


def as_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(errors="surrogatepass")


@dataclass(slots=True, kw_only=True)
class Forge:
    """The files of a bundle, free to be changed."""

    files: dict[str, bytes]
    report: dict[str, Any]
    lock: dict[str, Any]
    statement: dict[str, Any] = field(default_factory=dict)
    """Parts of the statement that say something else than report and lock."""
    raw: set[str] = field(default_factory=set)
    """Files of `REPORT` and `LOCK` that are taken as they stand in `files`."""

    @property
    def accepted(self) -> dict[str, Any]:
        part: dict[str, Any] = self.lock["accepted"]
        return part

    def check(self, *names: str) -> list[dict[str, Any]]:
        """Checks of a gate by name, wherever the report has them."""
        gates = [self.report["gate"], self.report["verify"]]
        gates += [rung["verdict"] for rung in self.report["ladder"] if rung["verdict"]]
        return [one for gate in gates for one in gate["checks"] if one["name"] in names]

    def metric(self, name: str, scores: str = "holdout") -> dict[str, Any]:
        found: dict[str, Any] = next(
            one for one in self.report[scores]["metrics"] if one["name"] == name
        )
        return found

    def replace(self, old: str, new: str, *names: str) -> None:
        """Change a text in files, and where the report repeats them."""
        for name in names:
            assert old.encode() in self.files[name], name
            self.files[name] = self.files[name].replace(old.encode(), new.encode())
        for key in ("recipe_text", "resolved_recipe", "backend_config"):
            self.report[key] = self.report[key].replace(old, new)

    def signed(self, path: Path) -> Path:
        """Write the bundle, signed with a key that nobody knows."""
        whole = {REPORT: as_bytes(self.report), LOCK: as_bytes(self.lock)}
        self.files |= self._pages()
        self.files |= {name: data for name, data in whole.items() if name not in self.raw}
        key = Ed25519PrivateKey.generate()
        members = {**self.files, "signer.pem": pem_of(key.public_key())}
        members["statement.dsse.json"] = sign(to_bytes(self._statement()), key)
        write_archive(path, members)
        return path

    def _pages(self) -> dict[str, bytes]:
        """The pages of the report as it is now, where they were those of the report and it can be read."""
        before = now = None
        if REPORT not in self.raw:
            before, now = _report(json.loads(self.files[REPORT])), _report(self.report)
        if before is None or now is None:
            return {}
        found = {}
        for name, render in pages_of().items():
            if self.files.get(name) == render(before).encode():
                found[name] = render(now).encode(errors="surrogatepass")
        return found

    def _statement(self) -> dict[str, Any]:
        """What report and lock say now, or, where they cannot be read any more, what they held."""
        outside = ("statement.dsse.json", "signer.pem")
        evidence = {
            name: data
            for name, data in self.files.items()
            if name not in outside and not name.startswith("model/")
        }
        try:
            found = statement_of(
                from_json(Report, self.report),
                from_json(Accepted, self.accepted),
                evidence,
                written_with=__version__,
            )
            to_bytes(found)
        except (AttributeError, KeyError, TypeError, ValueError):
            found = json.loads(
                base64.b64decode(json.loads(self.files["statement.dsse.json"])["payload"])
            )
            named = [one for one in found["predicate"]["evidence"] if one["name"] in evidence]
            for one in named:
                one["digest"]["sha256"] = hashlib.sha256(evidence[one["name"]]).hexdigest()
            found["predicate"]["evidence"] = named
        found["predicate"] |= self.statement
        return found


def _report(value: Any) -> Report | None:
    try:
        found = from_json(Report, value)
        for render in pages_of().values():
            render(found)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None
    return found


Change = Callable[[Forge], Any]


def bound_lower(forge: Forge) -> None:
    """The report's bound is not the recipe's."""
    for check in forge.check("macro_f1"):
        check["bound"] = 0.001


def better_everywhere(forge: Forge) -> None:
    """One metric, raised in report, lock, gate and statement alike."""
    fact = {"value": 0.99, "low": 0.95, "high": 1.0, "n": 40}
    forge.accepted["metrics"]["macro_f1"] = fact
    for scores in (forge.report["holdout"], forge.report["ladder"][0]["scores"]):
        metric = next(one for one in scores["metrics"] if one["name"] == "macro_f1")
        metric["value"] = 0.99
        metric["interval"] |= {"low": 0.95, "high": 1.0}
    for check in forge.check("macro_f1"):
        check["got"] = 0.99
        check["interval"] |= {"low": 0.95, "high": 1.0}


def better_end_everywhere(forge: Forge) -> None:
    """The lower end alone, raised in report, lock, gate and statement alike."""
    value = forge.metric("macro_f1")["value"]
    forge.accepted["metrics"]["macro_f1"]["low"] = round(value, 6)
    for scores in (forge.report["holdout"], forge.report["ladder"][0]["scores"]):
        metric = next(one for one in scores["metrics"] if one["name"] == "macro_f1")
        metric["interval"]["low"] = value
    for check in forge.check("macro_f1"):
        check["interval"]["low"] = value


def confusion_of_a_better_model(forge: Forge) -> None:
    """Everything on the holdout made up, but not the answers of the lock."""
    for scores in (forge.report["holdout"], forge.report["ladder"][0]["scores"]):
        for row in scores["confusion"]:
            row[0], row[1] = row[1], row[0]


def accepted_by_a_weaker_recipe(forge: Forge) -> None:
    """The resolved recipe asks for less than the one that was written."""
    forge.replace("min: 0.01", "min: 0.001", RESOLVED)
    bound_lower(forge)


def page_more(name: str, more: bytes, version: str = __version__) -> Change:
    """Something is added to a page, which claims to be written by a version."""

    def change(forge: Forge) -> None:
        forge.files[name] += more
        forge.statement["pages_written_with"] = version

    return change


def another_page(forge: Forge) -> None:
    """The model card of an earlier version that names another model."""
    forge.files["README.md"] = b"# A fine model\n"
    forge.statement["pages_written_with"] = "0.1.0"


def put(value: Any, *path: str | int, of: str = "report") -> Change:
    def change(forge: Forge) -> None:
        node = getattr(forge, of)
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value(node[path[-1]]) if callable(value) else value

    return change


def without(name: str, gate: str = "verify") -> Change:
    def change(forge: Forge) -> None:
        checks = forge.report[gate]["checks"]
        forge.report[gate]["checks"] = [one for one in checks if one["name"] != name]

    return change


def more(value: float) -> Callable[[Any], Any]:
    return lambda old: old + value
