"""The files that a Kafka broker is started from, fetched by Maven into `.tools/`.

They are fetched once, also when several processes ask at the same time.

.tools/kafka-4.4.0/*.jar          the broker
.tools/kafka-4.4.0/*.checkpoint   a formatted node's first metadata: the features that a new cluster of this version has
                                  (without it Kafka starts too, but with transactions and groups as of long ago)
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.kit.tools import TOOLS, locked

KAFKA_VERSION: Final = "4.4.0"
FETCH_SECONDS: Final = 240.0

_POM: Final = Path(__file__).with_name("pom.xml")
_SAID_CHARACTERS: Final = 2000
_TO_FORMAT: Final = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:1
listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
"""


class KafkaUnavailable(Exception):
    """No Kafka can be had on this machine; the text says what is missing."""


def java() -> str:
    """The Java to run Kafka with; raises KafkaUnavailable."""
    home = os.environ.get("JAVA_HOME")
    at_home = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    if found := at_home or shutil.which("java"):
        return found
    raise KafkaUnavailable(
        "`java` (17 or newer) is missing: it runs Kafka; install it, or name a broker with BROKER=host:port"
    )


def kafka_distribution() -> Path:
    """Return the folder of jars and checkpoint.

    Raises KafkaUnavailable without Java or Maven, or when it cannot be fetched within 4 min.
    """
    folder = TOOLS / f"kafka-{KAFKA_VERSION}"
    if folder.is_dir():
        return folder
    mvn = shutil.which("mvn")
    if mvn is None:
        raise KafkaUnavailable(
            f"`mvn` (Maven) is missing: it fetches Kafka {KAFKA_VERSION} once; install it, or name a broker with"
            " BROKER=host:port"
        )
    TOOLS.mkdir(exist_ok=True)
    with locked(TOOLS / "kafka.lock"):
        if not folder.is_dir():  # somebody else was faster
            _make(mvn, folder)
    return folder


def _make(mvn: str, folder: Path) -> None:
    """In a folder beside it, renamed when complete: it is there whole, or not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as beside:
        jars = Path(beside) / "jars"
        _run(
            [
                mvn,
                "-q",
                "-B",
                "-f",
                str(_POM),
                f"-Dkafka.version={KAFKA_VERSION}",
                "dependency:copy-dependencies",
                f"-DoutputDirectory={jars}",
            ]
        )
        _add_checkpoint(jars, Path(beside))
        jars.rename(folder)


def _add_checkpoint(jars: Path, beside: Path) -> None:
    logs, properties = beside / "logs", beside / "server.properties"
    properties.write_text(_TO_FORMAT.format(logs=logs))
    _run(
        [
            java(),
            "-cp",
            f"{jars}/*",
            "kafka.tools.StorageTool",
            "format",
            "-t",
            "AAAAAAAAAAAAAAAAAAAAZQ",
            "-c",
            str(properties),
        ]
    )
    for checkpoint in logs.glob("__cluster_metadata-0/*.checkpoint"):
        shutil.copy(checkpoint, jars)


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise KafkaUnavailable(
            f"{command[0]} did not end within {FETCH_SECONDS:.0f} s; it fetches Kafka {KAFKA_VERSION}"
        ) from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-_SAID_CHARACTERS:]
        raise KafkaUnavailable(f"Kafka {KAFKA_VERSION} could not be fetched; {command[0]} said: {said or 'nothing'}")
