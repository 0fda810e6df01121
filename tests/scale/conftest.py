"""Whole runs have every processor, as users' runs do."""

from collections.abc import Iterator

import pytest

from support.processors import every_processor


@pytest.fixture(scope="module", autouse=True)
def on_every_processor() -> Iterator[None]:
    with every_processor():
        yield
