"""The events of a run as JSON lines, and the trackers and messages that follow them."""
