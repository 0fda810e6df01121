"""How a notebook shows a report. Rendering lies above the values that it shows, so that it registers itself here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

SHOWN_AS: Final[dict[str, Callable[[Any], str]]] = {}
"""By format, `html` and `markdown`; empty until `engine.runs.api` is imported."""


class ShownInNotebooks:
    """What IPython asks of a value that is the last line of a cell; None: there is no such form."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        return self._shown("html")

    def _repr_markdown_(self) -> str | None:
        return self._shown("markdown")

    def _shown(self, form: str) -> str | None:
        render = SHOWN_AS.get(form)
        return None if render is None else render(self)
