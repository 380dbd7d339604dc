"""The progress of a worker, told to the group's consumer, to the stop for gaps, and to who pauses fetching."""

from typing import Protocol

from processor.foundation.fault_points import fault_point
from processor.foundation.settings_processing import TopicNames
from processor.pipeline.pipeline import Pipeline
from processor.transport.owner import Partition
from processor.worker.gap_stop import GapStop


class OffsetMarks(Protocol):
    """The group's consumer, as far as it commits what is done."""

    def mark_done(self, topic: str, partition: int, next_offset: int) -> None:
        """Have the group's offset committed, soon."""


class GroupProgress:
    """The progress of one worker, on both topics that its group reads."""

    def __init__(self, topics: TopicNames, consumer: OffsetMarks, pipeline: Pipeline, gap_stop: GapStop) -> None:
        self._topics, self._consumer, self._pipeline, self._gap_stop = topics, consumer, pipeline, gap_stop

    def note_processed(self, partition: int, next_offset: int) -> None:
        """Note that the events below an offset are processed, and durable."""
        topic = self._topics.profile_events
        self._consumer.mark_done(topic, partition, next_offset)
        self._gap_stop.note_done(Partition(topic, partition), self._pipeline.committed_offsets.get(partition, 0))
        fault_point("progress_noted")
        self._pipeline.resume_where_room(topic, partition)

    def note_delivered(self, partition: int, next_offset: int) -> None:
        """Note that the export records below an offset are delivered, or durable dead letters."""
        topic = self._topics.exports
        self._consumer.mark_done(topic, partition, next_offset)
        self._gap_stop.note_done(Partition(topic, partition), next_offset)
        fault_point("delivery_noted")
