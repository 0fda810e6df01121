"""Running models: the only folder that imports torch and what builds on it at the top."""

from engine.process.installed_packages import read_quickly
from engine.process.kept_imports import keep_imports

# Here, as every module that imports transformers is below.
read_quickly()
keep_imports()
