"""What is asked: the recipe's text, its rules, and the recipe as a value.

Pure: reads recipe files, never the data, the network or the machine-learning stack.
"""

from __future__ import annotations
