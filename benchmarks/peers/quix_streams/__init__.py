"""Quix Streams: Python, RocksDB with changelog, in a venv of its own under `.tools/`.

job.py is the job, this module starts it.
"""

import os
import sys
from pathlib import Path

from benchmarks.environment import Job
from benchmarks.peers.tools import run
from benchmarks.process import Command
from tests.kit.tools import made_once

PACKAGES = ("quixstreams==3.28.1", "orjson==3.13.0")


def prepare() -> Path:
    """Prepare the Python of the peer."""
    return made_once("quix-streams", [*PACKAGES, sys.version], _make) / "bin" / "python"


def _make(folder: Path) -> None:
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES)


def command(job: Job, guarantee: str) -> Command:
    """The job as `guarantee`: at-least-once or exactly-once."""
    names = (
        job.bootstrap_servers,
        job.app_id,
        job.topics.profile_events,
        job.topics.exports,
        str(job.folder / "state"),
        guarantee,
    )
    return Command([str(prepare()), str(Path(__file__).with_name("job.py")), *names], os.environ)
