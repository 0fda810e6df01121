"""The version: apart from `engine`, whose public names need every module, so that modules may need it."""

__version__ = "0.2.0"
