"""The environment of a worker: the directory that it has locked, and the cluster that it talks to."""

from dataclasses import dataclass

from processor.kafka.cluster import ClusterFacts
from state.directory import StateDirectory


@dataclass(frozen=True, slots=True)
class WorkerEnvironment:
    """The locked directory of one worker, and what its broker says of cluster and topics."""

    directory: StateDirectory
    cluster: ClusterFacts
