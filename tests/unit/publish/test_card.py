"""What the card of a published model says: the numbers of the form that is published."""

import json

import pytest

from engine.evidence import FormResult
from engine.publish.model_card import bill_of, published_card
from engine.values import replace
from support import reports
from support.reports import rich


@pytest.mark.parametrize(("form", "value"), [("gguf", 0.4), ("merged", 0.5), ("adapter", 0.6)])
def test_the_numbers_are_those_of_the_published_form(form: str, value: float) -> None:
    """A merged model was published with the numbers of the quantized file."""
    report = rich()
    scores = report.holdout
    assert scores is not None

    def judged(at: float) -> FormResult:
        metrics = tuple(replace(one, value=at) for one in scores.metrics)
        name = {0.4: "Q4_K_M", 0.5: "merged", 0.6: "adapter"}[at]
        return FormResult(name=name, scores=replace(scores, metrics=metrics), agreement=None)

    rungs = tuple(judged(at) for at in (0.6, 0.5, 0.4))
    report = replace(report, ladder=rungs, quantized=rungs[-1].scores)

    card = published_card(report, forms=(form,), names=(), key="")

    assert f"value: {value}" in card.split("---")[1]


def test_software_is_named_as_package_urls_write_it_and_only_where_it_is_there() -> None:
    versions = {"python": "3.13.5", "torch": "2.14.1+cpu", "trl": "1.0"}
    report = replace(reports.rich(), versions=versions)

    bill = json.loads(bill_of(report, (), None, run="r"))

    found = {one["name"]: one["purl"] for one in bill["components"] if one["type"] == "library"}
    assert found == {"torch": "pkg:pypi/torch@2.14.1%2Bcpu", "trl": "pkg:pypi/trl@1.0"}
