"""The compiled hot path gives the interpreted one's answers (contract 1 to 4b, 6): its own tests, the golden histories,
a real worker.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hot_path.build import PRODUCTION, build, is_built, missing_for_compiling
from hot_path.finder import RUN_COMPILED
from hot_path.sources import ROOT, hot_files, module_name
from tests.kit.compiled import compiled_packages, preferring
from tests.kit.examples import SHARE

pytestmark = pytest.mark.xdist_group("compiled")  # one build, one process

SECONDS = 1800.0  # two minutes on a quiet machine
OPT_LEVEL = "1"
"""What is tested is mypyc's translation; at 3 the C compiler takes longer. A build of `make setup` serves as well."""
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


WHERE_IN_A_WORKING_COPY = f"from hot_path.finder import prefer; prefer({str(ROOT)!r}, {{build!r}}); {WHERE}"


@pytest.fixture(scope="module")
def opt_level() -> str:
    if missing := missing_for_compiling():
        pytest.skip(f"NOT TESTED, {missing}: the compiled hot path")
    return PRODUCTION if is_built() else OPT_LEVEL


@pytest.mark.timeout(3000)
def test_the_compiled_hot_path_passes_the_same_tests(opt_level: str) -> None:
    packages = compiled_packages(opt_level)
    environment = preferring(packages, os.environ) | {SHARE: str(SHARE_OF_EXAMPLES)}

    where = run(["-c", WHERE, *map(module_name, hot_files())], environment)
    tested = run(["-m", "pytest", "--import-mode=append", "-q", "-p", "no:cacheprovider", *TESTS], environment)

    assert all(Path(file).is_relative_to(packages) and file.endswith((".so", ".pyd")) for file in where.split()), where
    assert " passed" in tested
    assert " failed" not in tested


@pytest.mark.timeout(3000)
def test_a_working_copy_runs_what_was_compiled_and_the_sources_of_all_else(opt_level: str) -> None:
    folder = build(opt_level)
    environment = {name: value for name, value in os.environ.items() if name != RUN_COMPILED}
    hot, others = [module_name(file) for file in hot_files()], ["processor.app", "processor.cli", "schemas.flow"]
    program = WHERE_IN_A_WORKING_COPY.format(build=str(folder))

    where = [Path(file) for file in run(["-c", program, *hot, *others], environment).split()]

    assert all(file.is_relative_to(folder) for file in where[: len(hot)]), where
    assert all(file.suffix == ".py" and not file.is_relative_to(folder) for file in where[len(hot) :]), where


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
