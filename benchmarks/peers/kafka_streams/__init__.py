"""Kafka Streams: Java, RocksDB with changelog. ProfileExports.java is the job, this starts it.

The settings that matter: a record cache as large as ours, commits every 100 ms, batches that fill: its best of what was
tried.
"""

import os
from pathlib import Path
from shutil import which

from benchmarks.environment import Job
from benchmarks.events import AUDIENCES
from benchmarks.peers.tools import run
from benchmarks.process import Command
from tests.kit.distribution import java
from tests.kit.tools import made_once

HERE = Path(__file__).parent
JVM = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
SETTINGS = {
    "commit.interval.ms": "100",
    "statestore.cache.max.bytes": str(256 * 1024 * 1024),
    "producer.compression.type": "snappy",
    "producer.linger.ms": "100",
    "producer.batch.size": str(256 * 1024),
    "producer.buffer.memory": str(64 * 1024 * 1024),
    "consumer.auto.offset.reset": "earliest",
    "consumer.max.poll.records": "2000",
}


def prepare() -> Path:
    """The folder of jars and classes."""
    return made_once("kafka-streams", [HERE / "pom.xml", HERE / "ProfileExports.java"], _make)


def _make(folder: Path) -> None:
    maven, compiler = which("mvn"), which("javac")
    assert maven is not None, "mvn (Maven) is missing: it fetches Kafka Streams"
    assert compiler is not None, "javac is missing: a JDK compiles the peer"
    run(maven, "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={folder}")
    run(compiler, "-cp", f"{folder}/*", "-d", folder / "classes", HERE / "ProfileExports.java")


def command(job: Job, guarantee: str, threads: int = 1) -> Command:
    """The job as `guarantee`: exactly_once_v2 or at_least_once."""
    folder = prepare()
    settings = SETTINGS | {
        "num.stream.threads": str(threads),
        "application.id": job.app_id,
        "bootstrap.servers": job.bootstrap_servers,
        "state.dir": str(job.folder / "state"),
        "processing.guarantee": guarantee,
        "bench.events": job.topics.profile_events,
        "bench.exports": job.topics.exports,
        "bench.audiences": ",".join(AUDIENCES[:3]),
    }
    file = job.folder / "streams.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return Command([java(), *JVM, "-cp", f"{folder}/classes:{folder}/*", "ProfileExports", str(file)], os.environ)
