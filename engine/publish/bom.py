"""What a published model was made of, as a CycloneDX 1.6 bill of materials with a model card (an ML-BOM).

Written here, since the format's own Python library has no model card; that library's validator checks it in tests. The
same publication gives the same bytes.
Source: CycloneDX 1.6, `bom-1.6.schema.json`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from engine.evidence import Metric, Report
from engine.lock.file import Accepted
from engine.publish.files import PublishedFile
from engine.render.labels import main_metric
from engine.render.metric_format import kind_of
from engine.render.report.card import scores_of
from engine.render.styled_text import revealed

SUFFIX: Final = ".cdx.json"
SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
NAMESPACE: Final = uuid.UUID("7a2f9c52-3f0e-5d0c-9f55-0c5c7f2a4b11")
"""Of serial numbers; drawn once."""


def bill_of(
    report: Report,
    files: Sequence[PublishedFile],
    accepted: Accepted | None,
    *,
    run: str,
    form: str = "",
) -> bytes:
    """Return the bill as JSON: the model, its files, its base model, its data and the software that made it.

    `form` is the one whose numbers it has, as in `render_card`.
    """
    model = f"{report.recipe_name}@{run}"
    parts = [*_files(files), *_base(report, accepted), *_data(accepted), *_software(report)]
    # its files are what it is; the others are what it was made of
    uses = [one["bom-ref"] for one in parts if one["type"] != "file"]
    bill = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, json.dumps([model, [f.sha256 for f in files]]))}",
        "version": 1,
        "metadata": {
            "timestamp": report.started,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": report.recipe_name,
                "version": run,
                "description": report.description,
                "modelCard": _card(report, form),
                "properties": [{"name": "slm-recipe:outcome", "value": report.outcome}],
            },
        },
        "components": parts,
        "dependencies": [{"ref": model, "dependsOn": uses}, *({"ref": one} for one in uses)],
    }
    return (revealed(json.dumps(bill, indent=1, ensure_ascii=False)) + "\n").encode()


def _files(files: Sequence[PublishedFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        yield {
            "type": "file",
            "bom-ref": f"file:{file.name}",
            "name": file.name,
            "hashes": [_sha256(file.sha256)],
        }


def _base(report: Report, accepted: Accepted | None) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "base-model",
        "name": report.base_model,
    }
    known = accepted.base_model.get("reference", {}) if accepted else {}
    if known.get("repo") and known.get("revision"):
        found["version"] = known["revision"]
        found["purl"] = f"pkg:huggingface/{known['repo']}@{known['revision']}"
    digests = accepted.base_model.get("files", {}) if accepted else {}
    found["components"] = [
        {
            "type": "file",
            "bom-ref": f"base-model:{name}",
            "name": name,
            "hashes": [_sha256(digest)],
        }
        for name, digest in sorted(digests.items())
        if isinstance(digest, str)
    ]
    yield found


def _data(accepted: Accepted | None) -> Iterator[dict[str, Any]]:
    """Yield the sources, which leave by name and digest alone."""
    for number, source in enumerate(accepted.sources if accepted else (), start=1):
        digest = source.get("sha256")
        found: dict[str, Any] = {
            "type": "data",
            "bom-ref": f"data:{number}",
            "name": str(source.get("name") or f"source {number}"),
            "data": [{"type": "dataset"}],
        }
        yield found | ({"hashes": [_sha256(digest)]} if isinstance(digest, str) else {})


def _software(report: Report) -> Iterator[dict[str, Any]]:
    for name, version in sorted(report.versions.items()):
        if name == "python" or not version:
            continue
        yield {
            "type": "library",
            "bom-ref": f"pypi:{name}",
            "name": name,
            "version": version,
            # a local version such as 2.14.1+cpu has a sign that some readers take for a blank
            "purl": f"pkg:pypi/{name}@{quote(version, safe='')}",
        }


def _card(report: Report, form: str) -> dict[str, Any]:
    scores = scores_of(report, form)
    kind = kind_of(report)
    limits = [
        f"The numbers hold for rows like the {report.holdout.rows} holdout rows."
        if report.holdout
        else "It was not judged on a holdout.",
        *([kind.card_limit] if kind.card_limit else []),
    ]
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": kind.hub_tag,
            "inputs": [{"format": "text"}],
            "outputs": [{"format": str(report.task.get("output", "text"))}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                _metric(one, is_main=one.name == main_metric(report))
                for one in (scores.metrics if scores else ())
                if one.value is not None and one.interval is not None
            ]
        },
        "considerations": {"technicalLimitations": limits},
    }


def _metric(metric: Metric, *, is_main: bool) -> dict[str, Any]:
    """Return a metric of the holdout with its interval; numbers are texts in this format."""
    found: dict[str, Any] = {
        "type": metric.name,
        "value": f"{metric.value:.4f}",
        "slice": f"holdout, {metric.n} rows{', the main metric' if is_main else ''}",
    }
    if metric.interval is not None:
        bounds = {"lowerBound": metric.interval.low, "upperBound": metric.interval.high}
        found["confidenceInterval"] = {name: f"{value:.4f}" for name, value in bounds.items()}
    return found


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}
