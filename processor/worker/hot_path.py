"""A test of whether the hot path runs as C (setup.py) or is interpreted: the same sources either way."""

from typing import Final

from processor.core import step

COMPILED: Final = not step.__file__.endswith(".py")
