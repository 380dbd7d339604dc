"""Stock Faust, the version that the project pins, as its users run it.

It has its own transport, RocksDB through rocksdict, and a changelog, at least once.
"""

import os
import sys

from benchmarks.environment import PARTITIONS, Job
from benchmarks.process import Command


def command(job: Job) -> Command:
    """The job; job.py reads it from the environment, as `faust -A` passes no arguments."""
    environment = {
        "BENCH_BROKER": job.bootstrap_servers,
        "BENCH_GROUP": job.app_id,
        "BENCH_EVENTS": job.topics.profile_events,
        "BENCH_EXPORTS": job.topics.exports,
        "BENCH_FOLDER": str(job.folder / "state"),
        "BENCH_PARTITIONS": str(PARTITIONS),
    }
    program = [
        sys.executable,
        "-m",
        "faust",
        "-A",
        "benchmarks.peers.stock_faust.job",
        "worker",
        "--without-web",
        "-l",
        "warn",
    ]
    return Command(program, {**os.environ, **environment})
