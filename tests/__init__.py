"""Tests of the product; tests/kit holds what they stand on.

Processes that tests start keep the bytecode of what they import: without it a worker compiles its libraries at each
start, which takes three times as long as all the rest of the start. PYTHONDONTWRITEBYTECODE keeps bytecode out of the
folders of the sources; where it is set, bytecode goes to `.tools/bytecode`, for this process and for those that it
starts.

The hot path is interpreted, whatever `make setup` compiled (hot_path/finder.py); tests/test_compiled.py has the other
form tested.
"""

import os
import sys
from pathlib import Path

os.environ["RUN_COMPILED"] = "0"

if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).parents[1] / ".tools" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
