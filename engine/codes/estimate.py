"""Codes of the devices and prices that `recipe plan` is given: R04x."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "R040": Code(
        title="the device is not in the table",
        why="An estimate for a device that is not there stands on its memory, bandwidth and peaks, "
        "which only the table says.",
        fix="name one that the message lists, such as --device rtx-4090; without --device the estimate "
        "is for this machine",
    ),
    "R041": Code(
        title="the prices file says something that is no price",
        why="A cost is hours times the price that you pay; a price that cannot be read would be a guess.",
        fix="write one line a device: rtx-4090: 0.44, and optionally currency: EUR",
    ),
    "R042": Code(
        title="only this machine can be probed",
        why="A probe runs two real steps, and those run where the command runs.",
        fix="leave out --device, or run recipe plan --probe on that machine",
    ),
}
