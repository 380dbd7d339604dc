"""A test of whether the hot path runs as C (setup.py) or is interpreted: the same sources either way."""

from typing import Final

from processor.core import step
from schemas.worker_status import HotPathForm

COMPILED: Final = not step.__file__.endswith(".py")
FORM: Final[HotPathForm] = "compiled" if COMPILED else "interpreted"
