"""The software that a bill of materials names."""

import json

from engine.publish.card import bill_of
from engine.values import replace
from support import reports


def test_software_is_named_as_package_urls_write_it_and_only_where_it_is_there() -> None:
    versions = {"python": "3.13.5", "torch": "2.14.1+cpu", "trl": "1.0"}
    report = replace(reports.rich(), versions=versions)

    bill = json.loads(bill_of(report, (), None, run="r"))

    found = {one["name"]: one["purl"] for one in bill["components"] if one["type"] == "library"}
    assert found == {"torch": "pkg:pypi/torch@2.14.1%2Bcpu", "trl": "pkg:pypi/trl@1.0"}
