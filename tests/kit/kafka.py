"""A real Kafka broker (KRaft, one node) on loopback, as a child process.

    with RealKafka() as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})

    start ──► running ──── stop ─────► stopped ──┐
                │  ▲ ─────── kill ───► killed  ──┤
          pause ▼  │ resume                      │
               frozen        restart: the same ports, the same data

It comes up in about three seconds, and ends with the process that started it, also when that is killed. Made for tests:
one replica of everything, and what a broker does now and then (compaction, retention, ending transactions that were
left open) happens within a second.
"""

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processor.sandbox.child import die_with_parent, end_process
from tests.kit.distribution import java, kafka_distribution

START_SECONDS: Final = 240.0
STOP_SECONDS: Final = 30.0

SMALL_JVM: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
BENCHMARK_JVM: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
"""Kafka's own collector, and the second compiler: slower to start, faster when warm."""

_LOGGING: Final = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
_LOOPBACK: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.05
_METADATA_SECONDS: Final = 1.0
_TAIL_BYTES: Final = 4000
_START_TRIES: Final = 3  # a port may be taken between looking and listening

_PROPERTIES: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(20 * 1024 * 1024),
    # one broker cannot hold three replicas
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # made-up events are of a made-up year
    "log.retention.ms": "-1",
    # tests do not wait
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "500",
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": str(2 * 1024 * 1024),
    "log.cleaner.io.buffer.size": str(128 * 1024),
}


class KafkaFailed(Exception):
    """The broker did not come up; the text says why."""


class RealKafka:
    """The broker while the context lasts. Data stays in `data_dir` where one is given; otherwise it is thrown away.

    `properties` add to the broker's, or override them; `listeners` are more than the plain one: security protocol by
    name, as `{"TOKENS": "SASL_SSL"}`; `address(name)` is where one is reached. Raises KafkaUnavailable without Java or
    Maven, KafkaFailed with what the broker said when it does not answer within 240 s.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        jvm_options: Sequence[str] = SMALL_JVM,
        properties: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
    ) -> None:
        self._given = data_dir
        self._folder = data_dir or Path()
        self._jvm_options = tuple(jvm_options)
        self._more_properties = dict(properties or {})
        self._listeners = dict(listeners or {})
        self._ports: dict[str, int] = {}
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`127.0.0.1:PORT`, the same for the whole life of this object."""
        return f"{_LOOPBACK}:{self._port}"

    def address(self, listener: str) -> str:
        """The same of another listener."""
        return f"{_LOOPBACK}:{self._ports[listener]}"

    @property
    def is_running(self) -> bool:
        """Return whether the process lives; a frozen one does."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self._distribution = kafka_distribution()
        self._command = [java(), *self._jvm_options, *_LOGGING, "-cp", f"{self._distribution}/*", "kafka.Kafka"]
        self._folder = self._given or Path(tempfile.mkdtemp(prefix="kafka-"))
        try:
            self._start_somewhere()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def stop(self) -> None:
        """End it in order, if it runs."""
        if self._process is not None and self.is_running:
            self.resume()
            end_process(self._process, STOP_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would, short of the page cache; it notices nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Start it again (after ending it in order, if it runs) on the same ports and data; returns when it answers."""
        self.stop()
        self._start()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run on."""
        self._signal(signal.SIGCONT)

    def log_tail(self, most_bytes: int = _TAIL_BYTES) -> str:
        """The end of what it said: warnings and errors."""
        return (self._folder / "broker.log").read_bytes()[-most_bytes:].decode(errors="replace").strip()

    def _end(self) -> None:
        if self._given is not None:
            self.stop()
            return
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it was never started"
        self._process.send_signal(number)

    def _start_somewhere(self) -> None:
        """Find ports and start; once more with others where somebody takes one of them first."""
        for number in range(1, _START_TRIES + 1):
            self._port, controller_port, *more = free_ports(2 + len(self._listeners))
            self._ports = dict(zip(self._listeners, more, strict=True))
            self._write_files(controller_port)
            try:
                self._start()
                return
            except KafkaFailed as failed:
                if number == _START_TRIES or "Address already in use" not in str(failed):
                    raise

    def _write_files(self, controller_port: int) -> None:
        logs = self._folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        reached = [
            f"PLAINTEXT://{_LOOPBACK}:{self._port}",
            *(f"{name}://{self.address(name)}" for name in self._listeners),
        ]
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"} | self._listeners
        listeners = {
            "log.dirs": str(logs),
            "listeners": ",".join([*reached, f"CONTROLLER://{_LOOPBACK}:{controller_port}"]),
            "advertised.listeners": ",".join(reached),
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "controller.quorum.voters": f"1@{_LOOPBACK}:{controller_port}",
        }
        _write_properties(self._folder / "server.properties", _PROPERTIES | listeners | self._more_properties)
        if not (logs / "meta.properties").exists():
            self._format(logs)

    def _format(self, logs: Path) -> None:
        """Write what `kafka-storage.sh format` writes, without a JVM of its own."""
        metadata = logs / "__cluster_metadata-0"
        metadata.mkdir()
        for checkpoint in self._distribution.glob("*.checkpoint"):
            shutil.copy(checkpoint, metadata)
        _write_properties(
            logs / "meta.properties", {"version": "1", "cluster.id": _uuid(), "node.id": "1", "directory.id": _uuid()}
        )

    def _start(self) -> None:
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, str(self._folder / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one prctl call; no thread of ours holds a lock that it could want
            )
        try:
            self._wait_until_it_answers(time.monotonic() + START_SECONDS)
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_answers(self, deadline: float) -> None:
        """TCP first, which is silent; then a broker in the metadata, which is there once the controller let it in."""
        listening = False
        while time.monotonic() < deadline:
            if not self.is_running:
                raise KafkaFailed(f"Kafka ended while starting; it said: {self.log_tail()}")
            listening = listening or _listens(self._port)
            if listening and answers(self.bootstrap_servers):
                return
            time.sleep(_POLL_SECONDS)
        raise KafkaFailed(f"Kafka did not answer within {START_SECONDS:.0f} s; it said: {self.log_tail()}")


def answers(bootstrap_servers: str) -> bool:
    """Return whether a broker says within a second which brokers there are."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=_METADATA_SECONDS).brokers)
    except KafkaException:
        return False


def free_ports(count: int) -> list[int]:
    """Ports below those that the kernel gives to clients.

    The trap: a client that knocks on an ephemeral port where nobody listens can be given that very port as its own,
    connects to itself, and keeps the broker from coming back to it.
    """
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            candidate = socket.socket()
            try:
                candidate.bind((_LOOPBACK, random.randrange(20_000, 32_000)))
            except OSError:
                candidate.close()
            else:
                sockets.append(candidate)
        return [bound.getsockname()[1] for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()


def _uuid() -> str:
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")


def _write_properties(file: Path, properties: Mapping[str, str]) -> None:
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


def _listens(port: int) -> bool:
    try:
        socket.create_connection((_LOOPBACK, port), _METADATA_SECONDS).close()
    except OSError:
        return False
    return True
