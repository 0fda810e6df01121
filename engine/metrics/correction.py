"""Several tests at once: p-values corrected so that any false alarm among them stays rare."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's (1979) adjusted p-values, in the order given.

    The smallest is multiplied by how many there are, the next by one less, and so on; none becomes
    smaller than one before it, and none larger than 1.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)
