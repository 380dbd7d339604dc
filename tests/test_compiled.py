"""The compiled hot path gives the interpreted one's answers (contract 1 to 4b, 6): its own tests, the golden histories,
a real worker.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.compiled import ROOT, compiled_packages, has_compiler, preferring

pytestmark = pytest.mark.xdist_group("compiled")  # one build, one process

SECONDS = 1800.0  # three minutes on a quiet machine
IN_VIRTUAL_TIME = (
    "sink",
    "laws",
    "parking",
    "parking_laws",
    "shard_rates",
    "order_check",
    "parts",
    "answers",
    "fence",
    "kinesis",
)
TESTS = (
    "tests/core",
    "tests/pipeline",
    "tests/state",
    *(f"tests/delivery/test_{name}.py" for name in IN_VIRTUAL_TIME),
    "tests/letters",
    "tests/cli/test_golden.py",
    "tests/integration/test_whole_job.py::test_what_leaves_equals_replay_in_order_per_profile_and_flow",
)


@pytest.mark.timeout(3000)
def test_the_compiled_hot_path_passes_the_same_tests() -> None:
    if not has_compiler():
        pytest.skip("NO C COMPILER, NOT TESTED: the compiled hot path")
    packages = compiled_packages()
    environment = preferring(packages, os.environ)

    where = run(
        ["-c", "from processor.delivery import sender; from state import rows; print(sender.__file__, rows.__file__)"],
        environment,
    )
    tested = run(["-m", "pytest", "--import-mode=append", "-q", "-p", "no:cacheprovider", *TESTS], environment)

    assert all(Path(file).is_relative_to(packages) and file.endswith((".so", ".pyd")) for file in where.split()), where
    assert " passed" in tested
    assert " failed" not in tested


def run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
