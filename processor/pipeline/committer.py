"""The durability order of one partition, and nothing else.

    1  PartitionLog.commit   exports, dead letters, rows and the source position become durable
    2  ProfileRows.apply     the rows on disk take the same
    3  on_committed           the group's offset may be committed up to there

Never in another order: whatever is killed in between, the next owner starts at the source position of what step 1 made
durable.
"""

from collections.abc import Callable, Sequence
from itertools import chain

from processor.foundation.fault_points import fault_point
from processor.pipeline.ports import Output, PartitionLog, ProfileRows
from processor.pipeline.profiles import Profiles
from processor.pipeline.work_unit import WorkUnit
from schemas.wire.identity_index import INDEX_KEY, IndexProgress, encode_progress
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, SourcePosition, encode_source_position

TopicIds = tuple[str | None, str | None]
"""Kafka's ids of profile-events and of the changelog; None: the broker does not tell."""


class Committer:
    """Makes work units durable, group by group.

    `committed_sequence`: the last work unit that is on disk, 0: none of this owner. `committed_offset`: the first
    offset of profile-events that is not in the state. `has_position`: whether a source position was ever written.
    """

    def __init__(
        self,
        rows: ProfileRows,
        log: PartitionLog,
        profiles: Profiles,
        topic_ids: TopicIds,
        index_progress: IndexProgress | None,
        *,
        on_committed: Callable[[Sequence[WorkUnit]], None],
    ) -> None:
        position = rows.source_position
        self._rows, self._log, self._profiles, self._topic_ids = rows, log, profiles, topic_ids
        self._index_progress = index_progress
        self._on_committed = on_committed
        self._profile_count = 0 if position is None else position.profiles
        self.committed_sequence = 0
        self.committed_offset = 0 if position is None else position.next_offset
        self.has_position = position is not None

    async def commit(self, units: Sequence[WorkUnit]) -> None:
        """Commit these units, the oldest ones, as one transaction. When it raises, the outcome is unknown."""
        last, output = units[-1], self._merge(units)
        changelog_next_offset = await self._log.commit(output)
        fault_point("committed")
        self._rows.apply(output.rows, changelog_next_offset)
        fault_point("rows_applied")
        self._profiles.applied(last.sequence, output.rows)
        self.committed_sequence, self.committed_offset, self.has_position = last.sequence, last.next_offset, True
        self._on_committed(units)

    def _merge(self, units: Sequence[WorkUnit]) -> Output:
        return Output(
            exports=list(chain.from_iterable(unit.exports for unit in units)),
            dead_letters=list(chain.from_iterable(unit.dead_letters for unit in units)),
            rows=self._merge_rows(units),
            events=list(chain.from_iterable(unit.events for unit in units)),
            job_progress=list(chain.from_iterable(unit.job_progress for unit in units)),
        )

    def _merge_rows(self, units: Sequence[WorkUnit]) -> dict[bytes, bytes | None]:
        """Return the rows of all units, the progress of the index of identities, and the source position as the last.

        What is written again comes last: the order matters where a log without transactions may tear.
        """
        last, rows = units[-1], dict[bytes, bytes | None]()
        for unit in units:
            for key in unit.rows.keys() & rows.keys():
                del rows[key]
            rows.update(unit.rows)
            if unit.index_move is not None:
                self._index_progress = unit.index_move.progress
        if self._index_progress is not None:
            rows[INDEX_KEY] = encode_progress(self._index_progress._replace(next_offset=last.next_offset))
        self._profile_count += sum(unit.new_profiles for unit in units)
        rows[SOURCE_POSITION_KEY] = encode_source_position(
            SourcePosition(last.next_offset, last.bad_in_a_row, *self._topic_ids, self._profile_count)
        )
        return rows
