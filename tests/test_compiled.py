"""The compiled hot path gives the interpreted one's answers (contract 1 to 4b, 6): its own tests, the golden histories,
a real worker.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.compiled import ROOT, compiled_packages, has_compiler, preferring
from tests.kit.examples import SHARE

pytestmark = pytest.mark.xdist_group("compiled")  # one build, one process

SECONDS = 1800.0  # two minutes on a quiet machine
OPT_LEVEL = "1"
"""What is tested is mypyc's translation; at 3 the C compiler alone takes a minute more."""
SHARE_OF_EXAMPLES = 4
"""A quarter of a law's examples: the interpreted run has drawn them all, and a compiler's faults show often."""
TESTS = (
    "tests/schemas",
    "tests/core",
    "tests/pipeline",
    "tests/state/test_partition_store.py",
    "tests/state/test_recovery.py",
    "tests/state/test_restore.py",
    *(
        f"tests/delivery/test_{name}.py"
        for name in ("sink", "laws", "parking", "parking_laws", "shard_rates", "order_check", "parts")
    ),
    *(f"tests/delivery/kinesis/test_{name}.py" for name in ("responses", "fence", "client")),
    "tests/dead_letters",
    "tests/cli/test_golden.py",
    "tests/integration/test_whole_job.py::test_what_leaves_equals_replay_in_order_per_profile_and_flow",
)
WHERE = "import importlib, sys; print(*(importlib.import_module(name).__file__ for name in sys.argv[1:]), sep=chr(10))"


@pytest.mark.timeout(3000)
def test_the_compiled_hot_path_passes_the_same_tests() -> None:
    if not has_compiler():
        pytest.skip("NO C COMPILER, NOT TESTED: the compiled hot path")
    packages = compiled_packages(OPT_LEVEL)
    environment = preferring(packages, os.environ) | {SHARE: str(SHARE_OF_EXAMPLES)}

    where = run(["-c", WHERE, *hot_modules()], environment)
    tested = run(["-m", "pytest", "--import-mode=append", "-q", "-p", "no:cacheprovider", *TESTS], environment)

    assert all(Path(file).is_relative_to(packages) and file.endswith((".so", ".pyd")) for file in where.split()), where
    assert " passed" in tested
    assert " failed" not in tested


def hot_modules() -> list[str]:
    """Return the names of the modules that setup.py compiles."""
    (listed,) = (
        statement.value
        for statement in ast.parse((ROOT / "setup.py").read_text()).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "HOT_PATH"
    )
    return [file.removesuffix(".py").replace("/", ".") for file in ast.literal_eval(listed)]


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
