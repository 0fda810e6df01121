"""What an hour on a device costs: a file that the user owns. No price comes with the engine.

```yaml
currency: EUR
rtx-4090: 0.44
cpu: 0.05
```
"""

from __future__ import annotations

from pathlib import Path

from engine.environment import Device
from engine.errors import Problem, RecipeError
from engine.estimate.devices import facts_of, plain_name
from engine.files.user import config_folder
from engine.recipe.text.source import read_source
from engine.values import Value

CURRENCY = "currency"
FILE = "prices.yaml"


class Price(Value):
    """What an hour costs."""

    an_hour: float
    currency: str
    """Empty where the file says none."""
    source: str
    """Device and file: `rtx-4090 in prices.yaml`."""

    def of(self, seconds: float) -> float:
        """Return what so many seconds cost."""
        return self.an_hour * seconds / 3600


def price_of(device: Device, file: Path | None) -> Price | None:
    """Return the price of a device; None where no file says it.

    RecipeError R041 for a file that cannot be read or says something else than prices, with every problem.
    """
    path = file or config_folder() / FILE
    # The default file need not be there; one that was named must be.
    if file is None and not path.is_file():
        return None
    source = read_source(path)
    problems = [*source.problems]
    for name, value in source.value.items():
        wanted = "a word such as EUR" if name == CURRENCY else "a number: the price of an hour"
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if not (isinstance(value, str) if name == CURRENCY else is_number):
            place = source.place((name,))
            problems.append(
                Problem(code="R041", message=f"must be {wanted}", path=name, place=place)
            )
    if problems:
        raise RecipeError(problems)
    currency = source.value.get(CURRENCY, "")
    # As `--device` reads names: `RTX 4090` is `rtx-4090`.
    prices = {plain_name(name): price for name, price in source.value.items()}
    # The name in the table first, then the driver's, then the kind: the closest price counts.
    for name in (facts_of(device).name, device.name, device.kind):
        price = prices.get(plain_name(name))
        if isinstance(price, int | float):
            return Price(
                an_hour=float(price), currency=str(currency), source=f"{name} in {path.name}"
            )
    return None
