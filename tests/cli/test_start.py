"""Commands start fast: what takes long to import is not there when they reach the network.

Modules are looked at, and no clock.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "aiokafka",
    "boto3",
    "botocore",
    "charset_normalizer",
    "cryptography",
    "fastapi",
    "faust",
    "jsonpatch",
    "mode",
    "moto",
    "pandas",
    "rich",
    "rocksdict",
    "starlette",
    "structlog",
    "urllib3",
    "uvicorn",
)
FLOWS = """
flows:
  - {id: vip, destination: {type: kinesis, stream: s, region: us-east-2, credentials: {type: default}}}
"""
PROGRAM = """
import os, sys
import processor.kafka.admin
def reach(*_, **__):
    print(*sorted(name for name in {heavy!r} if name in sys.modules))
    sys.stdout.flush()
    os._exit(0)
processor.kafka.admin.AdminClient = reach  # the first client of every one of these commands
sys.argv[1:] = {arguments!r}
from processor.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["init"],
        ["status"],
        ["status", "--json"],
        ["check"],
        ["apply", "flows.yaml"],
        ["flows", "list"],
        ["flows", "diff", "flows.yaml"],
    ],
    ids=" ".join,
)
def test_a_command_reaches_kafka_without_what_only_later_steps_need(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "flows.yaml").write_text(FLOWS)

    assert loaded(PROGRAM.format(heavy=HEAVY, arguments=arguments), tmp_path) == []


def test_settings_alone_need_no_client_and_no_sdk(tmp_path: Path) -> None:
    program = (
        "import sys, processor.foundation.settings;"
        f" print(*[name for name in {(*HEAVY, 'confluent_kafka', 'click')!r} if name in"
        " sys.modules])"
    )

    assert loaded(program, tmp_path) == []


def test_a_supervisor_loads_neither_faust_nor_a_client() -> None:
    """Its memory is there beside that of all workers, and its start is before theirs."""
    program = (
        "import sys, processor.cli.worker, processor.supervisor.run;"
        f" print(*[name for name in {(*HEAVY, 'confluent_kafka')!r} if name in sys.modules])"
    )

    assert set(loaded(program, Path.cwd())) <= {"rich", "structlog"}, "structlog imports rich where that is"


def loaded(program: str, folder: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1].split()
