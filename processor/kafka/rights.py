"""The right to describe how topics are configured, in words: what is not checked without it, and how it is granted."""

from typing import Final

NOT_CHECKED: Final = (
    "cleanup policies, record sizes and retention are not checked, and the changelog is taken to keep tombstones for 24"
    " h, Kafka's default: where it keeps them shorter, a deleted profile may come back from an old local copy"
)
GRANT: Final = (
    "grant DescribeConfigs: kafka-acls.sh --add --allow-principal User:NAME --operation DescribeConfigs --topic TOPIC"
)
