"""What a row that cannot be read raises; a plan passes such rows over, the data stage counts them."""

from __future__ import annotations

from typing import Final

from engine.data.examples.answers import NoBinError, NoNumberError
from engine.data.examples.template import MissingColumnError, RejectedError, UnusableValueError

READING_ERRORS: Final = (
    NoBinError,
    NoNumberError,
    MissingColumnError,
    UnusableValueError,
    RejectedError,
)
