"""The identity of a local copy: the cluster, app, changelog and partition that it was made of.

A folder of another identity is wiped and rebuilt from the changelog; it never mixes with ours.
"""

from typing import Final, NamedTuple

import orjson

FORMAT: Final = 1  # of keys, rows and this record


class Identity(NamedTuple):
    """The values that must be equal for a local copy to be ours.

    The ids of cluster and changelog are Kafka's, None where the broker does not tell.
    """

    cluster_id: str | None
    app_id: str
    changelog: str
    changelog_id: str | None
    partition: int
    partitions: int
    format: int = FORMAT

    def encode(self) -> bytes:
        """As stored beside the rows."""
        return orjson.dumps(self._asdict())

    @classmethod
    def decode(cls, value: bytes) -> "Identity | None":
        """The identity of a stored value; None where it is not one."""
        try:
            return cls(**orjson.loads(value))
        except (orjson.JSONDecodeError, TypeError):
            return None
