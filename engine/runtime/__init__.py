"""Running models: the only folder that imports torch and what builds on it at the top."""

from engine.process.installed_packages import read_quickly
from engine.process.library_imports import import_quickly

# Here, as every module that imports transformers is below.
read_quickly()
import_quickly()
