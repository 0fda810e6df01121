"""How many examples hypothesis draws: few and the same ones by default, many with `--hypothesis-profile exhaustive`."""

from hypothesis import HealthCheck, settings

SHARE = 5
"""By default one in so many of the examples that a property is worth is drawn, and no fewer than six."""


def register_profiles() -> None:
    """Make the profiles known and load the default one. No test waits for a clock: a busy machine is no failure."""
    quick = [HealthCheck.too_slow]
    settings.register_profile("exhaustive", deadline=None, suppress_health_check=quick)
    settings.register_profile(
        "quick",
        deadline=None,
        suppress_health_check=quick,
        max_examples=100 // SHARE,
        derandomize=True,
    )
    settings.load_profile("quick")


def examples(count: int) -> int:
    """Return how many of `count` examples this run draws."""
    if settings.get_current_profile_name() == "exhaustive":
        return count
    return max(min(count, 6), count // SHARE)
