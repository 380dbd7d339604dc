"""Jobs in one partition behind fakes: the same records as replay, wherever it dies, and never an older one after a
newer (E1, E2, F1, F2).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.pipeline.deadlines import CHUNK_PROFILES, DeadlineSettings
from processor.pipeline.jobs.chunk import CHUNK_EXPORTS
from processor.pipeline.jobs.scheduler import JobSettings
from processor.pipeline.jobs.slots import Slots
from processor.pipeline.partition import PartitionPipeline
from schemas.job import JobProgress, PartitionState
from schemas.kafka import ProducerRecord, ReadRecord
from schemas.times import parse_time
from schemas.wire.exports import ExportHeader
from schemas.wire.profiles_changelog import JOB, missed_key
from tests.core.control import Control
from tests.kit.examples import law
from tests.kit.given import a_flow, cloud_event
from tests.kit.virtual_time import in_virtual_time, run_in_virtual_time
from tests.pipeline.fakes import (
    FixedCatalog,
    LoopClock,
    MemoryLog,
    MemoryRows,
    batch,
    loop_slots,
    partition_settings,
    until,
)

AUDIENCES = ("a", "b", "c")
PROFILES = ("p-1", "p-2", "p-3", "p-4")


@dataclass
class Partition:
    """A pipeline over rows and a log that outlive it; its catalog is changed from outside."""

    catalog: Catalog
    rows: MemoryRows = field(default_factory=MemoryRows)
    log: MemoryLog = field(default_factory=MemoryLog)
    jobs: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    offset: int = 0
    failure: BaseException | None = None

    def open(self) -> None:
        self.view = FixedCatalog(self.catalog)
        jobs = JobSettings(**{"slots": loop_slots()} | self.jobs)
        settings = partition_settings(jobs=jobs, **self.others)
        topics = ("source", "changelog")
        self.pipeline = PartitionPipeline(
            self.rows, self.log, self.view, settings, topics, on_processed=self._reached, on_failure=self._failed
        )
        self.position = self.pipeline.committed_offset
        self.pipeline.start()

    async def restart(self) -> None:
        """Another owner: rows come from the changelog."""
        await self.pipeline.close()
        self.rows = MemoryRows(self.log.changelog)
        self.log.crash_after = None
        self.failure = None
        self.open()

    def change(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.view.change(catalog)

    def submit(self, events: Iterable[ReadRecord]) -> None:
        records = list(events)
        self.offset += len(records)
        self.pipeline.submit(batch(records))

    async def until(self, holds: Callable[[], bool]) -> None:
        await until(lambda: holds() or self.failure is not None)

    async def applied(self) -> None:
        """Until every event is."""
        await self.until(lambda: self.position >= self.offset)

    async def settle(self) -> None:
        """Until every event is applied, and every job that may run is done."""
        runnable = {job.id for job in self.catalog.jobs if job.runs} | {
            job.job for job in self.progress if job.job in self.catalog.cancelled
        }
        await self.until(lambda: self.position >= self.offset and self._ended(runnable))

    def _ended(self, jobs: set[str]) -> bool:
        return jobs <= {job.job for job in self.progress if job.state is not PartitionState.RUNNING}

    @property
    def progress(self) -> list[JobProgress]:
        return [JobProgress.model_validate_json(value) for key, value in self.rows.rows.items() if key.startswith(JOB)]

    def progress_of(self, kind: str) -> JobProgress:
        return next(job for job in self.progress if job.kind == kind)

    @property
    def exports(self) -> list[tuple[str, str, bytes]]:
        """(id, key, value) of everything committed."""
        return [
            (header(record, ExportHeader.RECORD_ID), (record.key or b"").decode(), record.value or b"")
            for record in self.log.exports
        ]

    @property
    def reported(self) -> list[ProducerRecord]:
        """On `job-progress`."""
        return [record for output in self.log.outputs for record in output.job_progress]

    @property
    def markers(self) -> list[bytes]:
        return [key for key in self.rows.rows if key[:1] in b"xm"]

    def _reached(self, offset: int) -> None:
        self.position = offset

    def _failed(self, error: BaseException) -> None:
        self.failure = error


def header(record: Any, name: str) -> str:
    return str(dict(record.headers)[name].decode())


def patch(offset: int, key: str, data: Any, kind: str = "profile.patched") -> ReadRecord:
    value = orjson.dumps(cloud_event(data, kind, key, id=f"e-{offset}"))
    return ReadRecord("profile-events", 0, offset, 0, key.encode(), value)


def status(audience: str, of: str) -> Any:
    return {"segmentMembership": {"ups": {audience: {"status": of}}}}


changes_of_flows = st.one_of(
    st.tuples(st.just("map"), st.sampled_from("fg"), st.lists(st.sampled_from(AUDIENCES), unique=True, max_size=3)),
    st.tuples(st.just("state"), st.sampled_from("fg"), st.sampled_from(["enabled", "disabled"])),
    st.tuples(st.just("delete"), st.sampled_from("fg"), st.none()),
    st.tuples(st.just("resend"), st.sampled_from("fg"), st.none()),
)
transitions = st.tuples(st.sampled_from(AUDIENCES), st.sampled_from(["realized", "realized", "exited"]))
events = st.one_of(
    st.tuples(st.just("status"), st.sampled_from(PROFILES), transitions),
    st.tuples(st.just("attribute"), st.sampled_from(PROFILES), st.integers(0, 2)),
    st.tuples(st.just("gone"), st.sampled_from(PROFILES), st.none()),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "emitExitOnUnmap": st.just(True),
        "onResume": st.just("skip"),
        "membershipGate": st.sampled_from(["none", "everQualified"]),
        "consentGate": st.just("n"),
        "triggers": st.just({"segments": False}),
    },
)


def an_event(offset: int, entry: tuple[str, str, Any]) -> ReadRecord:
    kind, key, what = entry
    if kind == "status":
        return patch(offset, key, status(*what))
    if kind == "attribute":
        return patch(offset, key, {"n": ("n", "y", "in")[what]})
    return patch(offset, key, None, "profile.deleted")


def changed(control: Control, entry: tuple[str, str, Any], of_flows: dict[str, Any]) -> Catalog:
    kind, flow_id, what = entry
    if kind == "map":
        state = control.flows[flow_id].state.value if flow_id in control.flows else "enabled"
        return control.put(a_flow(flow_id, what, ["n"], **of_flows) | {"state": state})
    if flow_id not in control.flows:
        return control.catalog
    if kind == "state":
        return control.set(flow_id, state=what)
    return control.delete(flow_id) if kind == "delete" else control.resend(flow_id)


@law(150)
@given(history=st.lists(st.one_of(events, events, changes_of_flows), min_size=3, max_size=25), of_flows=options)
def test_with_changes_between_events_the_records_are_those_of_replay(
    history: list[Any], of_flows: dict[str, Any]
) -> None:
    """Contract 4b: mappings and disables in between, each job done before the next event."""
    control, wanted = Control(), []
    replay = Replay(control.catalog)

    async def run() -> Partition:
        partition = Partition(control.catalog)
        partition.open()
        for entry in history:
            if entry[0] in ("status", "attribute", "gone"):
                event = an_event(partition.offset, entry)
                partition.submit([event])
                wanted.extend((record.id, record.key, record.value) for record in replay.feed(event).records)
            else:
                catalog = changed(control, entry, of_flows)
                partition.change(catalog)
                wanted.extend((record.id, record.key, record.value) for record in replay.change(catalog))
            await partition.settle()
        await partition.pipeline.close()
        return partition

    partition = run_in_virtual_time(run())
    assert partition.failure is None
    assert sorted(partition.exports) == sorted(wanted)
    assert partition.rows.rows == partition.log.changelog
    require_counts_that_add_up(partition)
    gathering = tuple(missed_key(job.missed_id, b"") for job in control.catalog.jobs if job.tracks_missed)
    assert all(marker.startswith(gathering) for marker in partition.markers), "markers are taken away"


@law(150)
@given(
    history=st.lists(st.one_of(events, events, events, changes_of_flows), min_size=3, max_size=30),
    waits=st.lists(st.integers(0, 6), min_size=30, max_size=30),
    crashes=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=3),
    of_flows=options,
)
def test_whatever_is_interleaved_and_wherever_it_dies_each_arrives_once_and_in_order(
    history: list[Any], waits: list[int], crashes: list[tuple[int, bool]], of_flows: dict[str, Any]
) -> None:
    control, log_of_events = Control(), []

    async def run() -> Partition:
        partition = Partition(control.catalog)
        left = list(crashes)
        partition.open()
        for entry, wait in zip(history, waits, strict=False):
            if entry[0] in ("status", "attribute", "gone"):
                event = an_event(partition.offset, entry)
                log_of_events.append(event)
                partition.submit([event])
            else:
                partition.change(changed(control, entry, of_flows))
            if left and wait == 0:
                after, durable = left.pop()
                partition.log.crash_after, partition.log.crash_durable = len(partition.log.outputs) + after, durable
            for _ in range(wait):
                await asyncio.sleep(0)
            if partition.failure is not None:
                await again(partition)
        await partition.settle()
        if partition.failure is not None:
            await again(partition)
            await partition.settle()
        await partition.pipeline.close()
        return partition

    async def again(partition: Partition) -> None:
        await partition.restart()
        partition.pipeline.submit(batch(log_of_events))

    partition = run_in_virtual_time(run())

    assert partition.failure is None
    assert partition.rows.rows == partition.log.changelog
    ids = [record_id for record_id, _, _ in partition.exports]
    assert len(ids) == len(set(ids)), "nothing twice: it is one transaction"
    require_order(partition)
    require_counts_that_add_up(partition)
    require_everybody_arrived(partition, control)


def require_counts_that_add_up(partition: Partition) -> None:
    """Everybody who was seen was exported, or skipped for a reason that is counted."""
    for job in partition.progress:
        assert job.seen == job.exported + sum(job.skipped.values()), job


def require_order(partition: Partition) -> None:
    """No record of a profile is followed by one made from an older state of it."""
    newest: dict[tuple[str, str], int] = {}
    for record in partition.log.exports:
        lane = (header(record, ExportHeader.FLOW_ID), (record.key or b"").decode())
        offset = int(header(record, ExportHeader.SOURCE_OFFSET))
        assert offset >= newest.get(lane, -1)
        newest[lane] = offset


def require_everybody_arrived(partition: Partition, control: Control) -> None:
    """The last record of each profile that is realized in a mapped audience says so, where every trigger is on and no
    consent is asked for.
    """
    for flow in control.flows.values():
        if (
            not flow.enabled
            or not flow.options.triggers.segments
            or flow.options.consent_gate
            or flow.options.on_resume == "skip"
        ):
            continue
        sent = [record for record in partition.log.exports if header(record, ExportHeader.FLOW_ID) == flow.id]
        last = {(record.key or b"").decode(): record.value or b"" for record in sent}
        for key, row in partition.rows.profiles.items():
            here = {audience for audience, entry in row.profile.memberships.get("ups", {}).items() if entry[0] == "r"}
            wanted = here & {mapping.id for mapping in flow.audiences}
            if wanted:
                said = orjson.loads(last[key.decode()])["segmentMembership"]["ups"]
                assert wanted <= {audience for audience, entry in said.items() if entry["status"] == "realized"}


async def filled(members: int, others: int = 0, **options: Any) -> Partition:
    """A partition with profiles, of which `members` are realized in `a`, and no flow yet."""
    of_partition = {name: options.pop(name) for name in ("clock", "wall_clock") if name in options}
    partition = Partition(Control().catalog, jobs=options, others=of_partition)
    partition.open()
    keys = [f"m-{number:05}" for number in range(members)] + [f"o-{number:05}" for number in range(others)]
    partition.submit(
        patch(offset, key, status("a" if key[0] == "m" else "b", "realized")) for offset, key in enumerate(keys)
    )
    await partition.settle()
    return partition


async def sending(
    members: int, audiences: Iterable[str], *, exits: bool = False, **settings: Any
) -> tuple[Partition, Control]:
    """A partition whose flow `f` has sent its members."""
    partition, control = await filled(members, **settings), Control()
    partition.change(control.put(a_flow("f", audiences, ["n"], emitExitOnUnmap=exits)))
    await partition.settle()
    return partition, control


async def exiting(reasons: list[str], before: Iterable[str], after: Iterable[str]) -> tuple[Partition, Control]:
    """The same with two members, and its mapping has changed; the exits wait for as long as `reasons` has one."""
    partition, control = await sending(2, before, exits=True, why_waiting=lambda _: reasons[0] if reasons else None)
    reasons.append("the destination is paused: stream_missing")
    partition.change(control.put(a_flow("f", after, ["n"], emitExitOnUnmap=True)))
    await partition.until(lambda: any(job.kind == "unmap" and job.waiting for job in partition.progress))
    return partition, control


@in_virtual_time
async def test_e1_a_backfill_goes_on_where_it_was_when_its_worker_dies() -> None:
    partition = await filled(1200, 30)
    partition.log.crash_after = len(partition.log.outputs) + 2

    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.until(lambda: False)
    before = len(partition.exports)
    await partition.restart()
    await partition.settle()
    await partition.pipeline.close()

    assert 0 < before < 1200
    assert len({key for _, key, _ in partition.exports}) == len(partition.exports) == 1200
    job = partition.progress_of("backfill")
    assert (job.state, job.exported, job.seen) == (PartitionState.DONE, 1200, 1230)
    assert job.skipped == {"not_a_member": 30}


@in_virtual_time
async def test_e1_a_record_of_a_job_says_when_it_was_decided_and_hands_on_no_trace() -> None:
    partition = await filled(3, wall_clock=lambda: 1_768_174_653.25)

    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.settle()
    await partition.pipeline.close()

    assert [header(record, ExportHeader.DECIDED_AT) for record in partition.log.exports] == ["1768174653250"] * 3
    assert not {ExportHeader.TRACEPARENT, ExportHeader.TRACESTATE} & {
        name for record in partition.log.exports for name, _ in record.headers
    }


@in_virtual_time
async def test_e2_what_was_exported_since_the_mapping_is_skipped_and_counted() -> None:
    partition = await filled(1000)
    control = Control()
    partition.log.gate.clear()
    partition.change(control.put(a_flow("f", ["a"], ["n"])))
    partition.submit([patch(partition.offset, "m-00999", {"n": 1})])
    await asyncio.sleep(0.01)
    partition.log.gate.set()
    await partition.settle()
    await partition.pipeline.close()

    assert [record_id for record_id, key, _ in partition.exports if key == "m-00999"] == ["profile-events-0-1000-f"]
    assert partition.progress_of("backfill").skipped == {"already_exported": 1}
    assert partition.markers == []


@in_virtual_time
async def test_events_go_first_and_the_job_waits_for_a_paused_destination_and_says_so() -> None:
    reasons = ["the destination is paused: stream_missing"]
    partition = await filled(30, why_waiting=lambda _: reasons[0] if reasons else None)
    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.until(lambda: any(job.waiting for job in partition.progress))
    waiting = partition.progress_of("backfill")
    exported = len(partition.exports)
    reasons.clear()
    await partition.settle()
    await partition.pipeline.close()

    assert (waiting.waiting, waiting.state, exported) == (
        "the destination is paused: stream_missing",
        PartitionState.RUNNING,
        0,
    )
    assert (partition.progress_of("backfill").exported, partition.progress_of("backfill").waiting) == (30, None)


@in_virtual_time
async def test_a_chunk_that_is_committed_with_events_after_it_is_not_the_last() -> None:
    """While events come partitions take turns: the slot comes back with whatever commit the chunk was in."""
    partition = await filled(1000)
    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.until(lambda: bool(partition.progress))
    partition.log.gate.clear()
    partition.submit([patch(partition.offset, "o-00001", {"n": 1})])
    await asyncio.sleep(2.0)  # a chunk is decided, while a commit is on its way
    partition.submit([patch(partition.offset, "o-00002", {"n": 1})])
    await asyncio.sleep(2.0)
    partition.log.gate.set()
    await partition.settle()
    await partition.pipeline.close()

    (chunk,) = [output for output in partition.log.outputs if b"po-00002" in output.rows]
    assert 0 < len(chunk.exports) < 1000
    assert partition.progress_of("backfill").exported == 1000


def test_while_events_come_partitions_take_turns_and_nobody_is_forgotten() -> None:
    now = [0.0]
    slots, wakes = Slots(lambda: now[0]), {number: asyncio.Event() for number in range(3)}
    slots.note_event()

    assert slots.take_slot(0, wakes[0])
    assert not slots.take_slot(1, wakes[1])
    slots.give_back(0)
    assert wakes[1].is_set()
    assert not slots.take_slot(0, wakes[0]), "another waits"
    assert slots.take_slot(1, wakes[1])
    slots.revoke(1)
    slots.withdraw(0)
    assert slots.take_slot(2, wakes[2])
    now[0] = 2.0
    assert slots.take_slot(0, wakes[0]), "no event for a second"


@in_virtual_time
async def test_a_rate_bounds_what_a_chunk_sends_and_when_the_next_comes() -> None:
    partition = await filled(30, records_per_second=10.0)
    partition.change(Control().put(a_flow("f", ["a"])))
    exported = []
    for _ in range(8):
        await asyncio.sleep(0.45)
        exported.append(len(partition.exports))
    await partition.settle()
    await partition.pipeline.close()

    assert exported == [10, 10, 20, 20, 30, 30, 30, 30]


@in_virtual_time
async def test_a_cancelled_job_stops_and_leaves_nothing_behind() -> None:
    partition = await filled(2000)
    control = Control()
    partition.change(control.put(a_flow("f", ["a"], ["n"])))
    await partition.until(lambda: len(partition.exports) >= 500)
    partition.submit([patch(partition.offset, "m-01999", {"n": 1})])
    partition.change(control.cancel("j0001"))
    await partition.settle()
    await partition.pipeline.close()

    job = partition.progress_of("backfill")
    assert job.state is PartitionState.CANCELLED
    assert job.exported < 2000
    assert partition.markers == []


@in_virtual_time
async def test_the_backfill_of_a_partition_without_profiles_is_done_at_once() -> None:
    partition = await filled(0)
    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.settle()
    await partition.pipeline.close()

    assert partition.progress_of("backfill").state is PartitionState.DONE
    assert [JobProgress.model_validate_json(record.value or b"").state for record in partition.reported] == [
        PartitionState.DONE
    ]


@in_virtual_time
async def test_a_job_that_is_forgotten_goes_from_the_rows_and_from_its_topic() -> None:
    partition = await filled(10)
    control = Control()
    partition.change(control.put(a_flow("f", ["a"])))
    await partition.settle()

    partition.change(control.forget("j0001"))
    await partition.until(lambda: not partition.progress)
    await partition.pipeline.close()

    assert partition.reported[-1] == ProducerRecord(b'["j0001",0]', None)
    assert partition.rows.rows == partition.log.changelog


@in_virtual_time
async def test_a_job_is_forgotten_also_beside_an_event() -> None:
    partition = await filled(10)
    control = Control()
    partition.change(control.put(a_flow("f", ["a"])))
    await partition.settle()

    partition.change(control.forget("j0001"))
    partition.submit([patch(partition.offset, "m-00001", {"n": 1})])
    await partition.until(lambda: partition.position >= partition.offset)
    await partition.pipeline.close()

    assert partition.progress == []
    assert [record.value is None for record in partition.reported].count(True) == 1


@in_virtual_time
async def test_a_job_that_still_ran_when_it_was_forgotten_leaves_nothing_behind() -> None:
    partition = await filled(10, why_waiting=lambda _: "the destination is paused: stream_missing")
    control = Control()
    partition.change(control.put(a_flow("f", ["a"], ["n"])))
    partition.submit([patch(partition.offset, "m-00009", {"n": 1})])
    await partition.until(lambda: bool(partition.markers))

    partition.change(control.forget("j0001"))
    await partition.until(lambda: partition.progress_of("backfill").state is PartitionState.CANCELLED)
    partition.change(control.set("f", name="another"))
    await partition.until(lambda: not partition.progress)
    await partition.pipeline.close()

    assert partition.markers == []
    assert partition.reported[-1] == ProducerRecord(b'["j0001",0]', None)


@in_virtual_time
async def test_progress_is_reported_on_its_topic_with_the_chunk_it_is_about() -> None:
    partition = await filled(600)
    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.settle()
    await partition.pipeline.close()

    last = JobProgress.model_validate_json(partition.reported[-1].value or b"")
    assert partition.reported[-1].key == b'["j0001",0]'
    assert last == partition.progress_of("backfill")
    assert (last.exported, last.seen, last.total, last.state) == (600, 600, 600, PartitionState.DONE)


@in_virtual_time
async def test_while_the_markers_of_a_cancelled_job_go_other_flows_have_their_chunks() -> None:
    members = 6 * CHUNK_EXPORTS
    partition, control = await sending(members, ["a"])
    partition.change(control.put(a_flow("z", ["a"], ["n"])))
    await partition.settle()
    partition.change(control.set("z", state="disabled"))
    partition.submit(patch(partition.offset + number, f"m-{number:05}", {"n": 1}) for number in range(members))
    await partition.applied()
    before = len(partition.log.outputs)

    control.resend("f")
    partition.change(control.delete("z"))
    await partition.settle()
    await partition.pipeline.close()

    outputs = partition.log.outputs[before:]
    chunks = [
        "resend" if each.exports else "cleanup"
        for each in outputs
        if each.exports or any(key[:1] == b"m" for key in each.rows)
    ]
    assert chunks.count("cleanup") >= 5
    assert chunks[: chunks.index("cleanup") + 4].count("resend") >= 2


@in_virtual_time
async def test_the_time_a_job_waits_is_no_work() -> None:
    """Its rate, and when it ends, are reported by the time it worked."""
    clock, paused = LoopClock(), ["paused"]
    partition = await filled(3 * CHUNK_EXPORTS, clock=clock, why_waiting=lambda _: paused[0] or None)
    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.until(lambda: bool(partition.progress))
    clock.passed += 3600.0
    paused[0] = ""
    await partition.until(lambda: len(partition.exports) >= CHUNK_EXPORTS)
    clock.passed += 5.0
    await partition.settle()
    await partition.pipeline.close()

    assert partition.progress_of("backfill").worked_seconds == 5.0


@in_virtual_time
async def test_the_time_a_catchup_notes_is_no_work() -> None:
    """It works from the moment when its flow is enabled."""
    clock = LoopClock()
    partition, control = await sending(1, ["a"], clock=clock)
    partition.change(control.set("f", state="disabled"))
    partition.submit([patch(partition.offset, "m-00000", {"n": 1})])
    await partition.applied()
    clock.passed += 3600.0
    partition.change(control.set("f", state="enabled"))
    await partition.settle()
    await partition.pipeline.close()

    assert (partition.progress_of("catchup").exported, partition.progress_of("catchup").worked_seconds) == (1, 0.0)


@in_virtual_time
async def test_nothing_of_a_job_that_has_ended_names_a_profile() -> None:
    """Privacy: its progress is kept for 30 days, longer than a deleted profile may be."""
    partition, _ = await sending(3, ["a"])
    await partition.pipeline.close()

    assert partition.progress_of("backfill").cursor == ""
    assert b"m-0" not in (partition.reported[-1].value or b"")
    assert {record.timestamp for record in partition.log.exports} == {None}, (
        "written now, however long ago the job was ordered"
    )


@in_virtual_time
async def test_f1_an_audience_that_was_unmapped_during_the_pause_lets_nobody_pass() -> None:
    """Un-mapping sends nothing (F2), and what becomes of who is in no mapped audience leaves for nobody (A9)."""
    partition, control = await sending(1, ["a"])
    partition.change(control.set("f", state="disabled"))
    partition.submit([patch(partition.offset, "m-00000", {"n": 1})])
    await partition.applied()
    partition.change(control.put(a_flow("f", ["b"], ["n"]) | {"state": "disabled"}))
    partition.change(control.set("f", state="enabled"))
    await partition.settle()
    await partition.pipeline.close()

    assert len(partition.exports) == 1
    assert partition.progress_of("catchup").skipped == {"not_a_member": 1}


@in_virtual_time
async def test_f1_what_a_disabled_flow_missed_is_noted_where_a_log_without_transactions_tears() -> None:
    """The event is decided again, and passed over where the profile's row has it: its note must have come before
    that.
    """
    partition, control = await sending(1, ["a"])
    partition.change(control.set("f", state="disabled"))
    await partition.until(lambda: any(job.kind == "catchup" for job in partition.progress))
    event = patch(partition.offset, "m-00000", {"n": 1})
    partition.log.crash_after, partition.log.torn_after = len(partition.log.outputs), 1
    partition.submit([event])
    await partition.until(lambda: partition.failure is not None)

    await partition.restart()
    partition.pipeline.submit(batch([event]))
    await partition.applied()
    partition.change(control.set("f", state="enabled"))
    await partition.settle()
    await partition.pipeline.close()

    assert [orjson.loads(value).get("n") for _, _, value in partition.exports] == [None, 1]


@in_virtual_time
async def test_f1_events_that_change_no_record_of_a_disabled_flow_read_no_note_and_write_none() -> None:
    """A profile outside, whatever it writes, and a member who writes what is not mapped."""
    partition, control = await sending(1, ["a"])
    partition.change(control.set("f", state="disabled"))
    partition.submit([patch(partition.offset, "outside", {"n": 1})])
    await partition.applied()
    reads = partition.rows.reads

    offset = partition.offset
    partition.submit(
        patch(offset + number, ("m-00000", "outside")[number % 2], {("unmapped", "n")[number % 2]: number})
        for number in range(40)
    )
    await partition.applied()
    read = partition.rows.reads - reads
    await partition.pipeline.close()

    assert (read, partition.markers) == (0, []), "profiles are cached, so whatever is read is a marker"


@in_virtual_time
async def test_markers_are_taken_away_without_stepping_over_those_that_were() -> None:
    """Each chunk begins where the last one ended; from the first marker on, the work would grow with their square."""
    members = 6 * CHUNK_EXPORTS
    partition, control = await sending(members, ["a"])
    partition.change(control.set("f", state="disabled"))
    partition.submit(patch(partition.offset + number, f"m-{number:05}", {"n": 1}) for number in range(members))
    await partition.applied()
    marked = len(partition.markers)
    partition.rows.stepped_over = 0

    partition.change(control.delete("f"))
    await partition.settle()
    await partition.pipeline.close()

    assert marked == members
    assert partition.markers == []
    assert partition.rows.stepped_over <= members


@in_virtual_time
async def test_f1_the_notes_of_a_cancelled_catchup_are_nobody_elses() -> None:
    """Its markers may be there for long: none are taken away while delivery is behind."""
    behind = [False]
    partition, control = await sending(2, ["a"], is_behind=lambda: behind[0])

    async def set_all(value: int, *keys: str) -> None:
        for key in keys:
            partition.submit([patch(partition.offset, key, {"n": value})])
        await partition.applied()

    await set_all(10, "m-00000", "m-00001")
    partition.change(control.set("f", state="disabled"))
    await set_all(11, "m-00000", "m-00001")
    behind[0] = True
    partition.change(control.set("f", state="enabled"))
    partition.change(control.cancel(next(job.id for job in control.jobs.values() if job.kind == "catchup")))
    await set_all(12, "m-00000")
    partition.change(control.set("f", state="disabled"))
    await set_all(10, "m-00000")
    behind[0] = False
    partition.change(control.set("f", state="enabled"))
    await partition.settle()
    await partition.pipeline.close()

    sent = [(key, orjson.loads(value).get("n")) for _, key, value in partition.exports]
    assert sent[-2:] == [("m-00000", 12), ("m-00000", 10)], "what was sent last was 12"
    assert sent.count(("m-00001", 11)) == 0, "nothing is caught up of a cancelled one"
    assert partition.markers == []


@in_virtual_time
async def test_f1_a_pause_that_follows_a_catchup_which_is_not_done_goes_on_with_its_notes() -> None:
    behind = [False]
    partition, control = await sending(2, ["a"], is_behind=lambda: behind[0])
    partition.change(control.set("f", state="disabled"))
    partition.submit([patch(partition.offset, "m-00000", {"n": 1})])
    await partition.applied()
    behind[0] = True
    partition.change(control.set("f", state="enabled"))
    partition.submit([patch(partition.offset, "o-1", {"n": 1})])
    await partition.applied()
    partition.change(control.set("f", state="disabled"))
    partition.submit([patch(partition.offset, "m-00001", {"n": 1})])
    await partition.applied()
    behind[0] = False
    partition.change(control.set("f", state="enabled"))
    await partition.settle()
    await partition.pipeline.close()

    last = control.catalog.jobs[-1]
    assert [record_id for record_id, _, _ in partition.exports[2:]] == [
        f"catchup-{last.id}-f-m-0000{number}" for number in range(2)
    ]
    assert partition.markers == []


@in_virtual_time
async def test_a12_the_exits_of_a_flow_that_is_disabled_meanwhile_wait_for_it() -> None:
    reasons: list[str] = []
    partition, control = await exiting(reasons, ["a", "b"], ["b"])
    partition.change(control.set("f", state="disabled"))
    partition.submit([patch(partition.offset, "m-00000", {"n": 2})])
    partition.submit([patch(partition.offset, "m-00001", status("a", "exited"))])
    partition.submit([patch(partition.offset, "m-00001", status("a", "realized"))])
    await partition.applied()
    while_disabled = len(partition.exports)
    reasons.clear()
    partition.change(control.set("f", state="enabled"))
    await partition.settle()
    await partition.pipeline.close()

    assert while_disabled == 2
    exits = [(key, orjson.loads(value)) for record_id, key, value in partition.exports if record_id.startswith("unmap")]
    assert [key for key, _ in exits] == ["m-00000", "m-00001"]
    assert exits[0][1]["n"] == 2, "a whole record: only a deleted flow's is bare"
    assert partition.markers == []


@in_virtual_time
async def test_f2_exits_are_of_those_who_were_members_and_once_whatever_comes_before_them() -> None:
    reasons: list[str] = []
    partition, _ = await exiting(reasons, ["a"], ["b"])
    partition.submit([patch(partition.offset, "n-1", status("a", "realized"))])
    partition.submit([patch(partition.offset, "m-00000", None, "profile.deleted")])
    partition.submit([patch(partition.offset, "m-00000", status("a", "realized"))])
    await partition.applied()
    reasons.clear()
    await partition.settle()
    await partition.pipeline.close()

    unmap = partition.progress_of("unmap")
    exits = [record_id for record_id, _, _ in partition.exports if record_id.startswith("unmap")]
    assert exits == [f"unmap-{unmap.job}-f-m-0000{number}" for number in range(2)]
    assert (unmap.seen, unmap.exported, unmap.skipped) == (3, 2, {"not_a_member": 1})
    assert partition.markers == []


@in_virtual_time
async def test_e2_who_came_after_the_scan_is_not_scanned_by_the_next_owner() -> None:
    """Its worker dies when everybody is scanned, and markers are still to be taken away."""
    held = [True]
    partition = await filled(3)
    partition.jobs = {"is_behind": lambda: held[0] and any(job.scanned for job in partition.progress)}
    await partition.restart()
    partition.change(Control().put(a_flow("f", ["a"])))
    await partition.until(lambda: any(job.scanned for job in partition.progress))
    partition.submit([patch(partition.offset, "z-1", status("a", "realized"))])
    await partition.applied()
    await partition.restart()
    held[0] = False
    await partition.settle()
    await partition.pipeline.close()

    assert [record_id for record_id, key, _ in partition.exports if key == "z-1"] == ["profile-events-0-3-f"]
    assert len(partition.exports) == 4


@in_virtual_time
async def test_while_much_expires_jobs_have_their_chunks() -> None:
    wall, clock = [parse_time("2026-01-01T00:00:00Z")], LoopClock()
    partition = Partition(
        Control().catalog, others={"deadlines": DeadlineSettings(True, lambda: wall[0]), "clock": clock}
    )
    partition.open()
    entry = {"segmentMembership": {"ext": {"x": {"status": "realized", "validUntil": "2026-02-01T00:00:00Z"}}}}
    partition.submit(patch(offset, f"p-{offset:04}", entry) for offset in range(4 * CHUNK_PROFILES))
    await partition.applied()

    wall[0] += 90 * 86_400
    clock.passed += 60.0
    partition.change(Control().put(a_flow("f", ["ext/x"])))
    await partition.until(lambda: sum(len(output.events) for output in partition.log.outputs) == 8 * CHUNK_PROFILES)
    await partition.settle()
    await partition.pipeline.close()

    chunks = [
        "expiry" if output.events else "job" for output in partition.log.outputs if output.events or output.exports
    ]
    assert "job" in chunks[:3]
    assert chunks.count("expiry") == 4


@in_virtual_time
async def test_a_job_says_nothing_of_events_that_were_gone_before_the_first_start() -> None:
    """A source position of 0 under a log that begins at 1,000 would stop the next start: offsets 0 to 999 are gone."""
    control = Control()
    partition = Partition(control.put(a_flow("f", ["a"], ["x"])))
    partition.open()
    partition.pipeline.begin_at(1000)

    partition.change(control.resend("f"))
    await partition.settle()

    assert partition.rows.source_position is not None
    assert partition.rows.source_position.next_offset == 1000
    await partition.pipeline.close()
