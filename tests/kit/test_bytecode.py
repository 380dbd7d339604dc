"""Processes that tests start keep the bytecode of what they import."""

import subprocess
import sys
from pathlib import Path


def test_a_process_that_a_test_starts_writes_the_bytecode_of_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "imported.py").write_text("")
    tell = "import imported, os; print(os.path.exists(imported.__cached__))"

    done = subprocess.run(
        [sys.executable, "-c", tell], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "True"
