"""Child processes: how they are started, limited, interrupted and ended; and the version, which needs no module."""

__version__ = "0.2.0"
