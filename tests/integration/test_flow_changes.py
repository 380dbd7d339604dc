"""Flows that change while a real worker runs (contract M2, A12, E3, G9).

Profiles are folded whatever the flows say, so replay with several catalogs, event by event, tells what each version of
a flow sends for each event. What a worker sent must be a reading of that with the versions in their order.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from processor.catalog.follower import HOLDS_AFTER_SECONDS
from processor.core.catalog import Catalog
from processor.kafka.reading import read_topic
from processor.sandbox.flows import REGION
from processor.sandbox.shop import shop_events
from processor.sandbox.streams import read_stream
from processor.sandbox.waiting import wait_until
from processor.verify.evidence import exported, read_evidence
from schemas.dead_letter import DeadLetterReason
from schemas.wire.exports import ExportHeader
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.whole_job import WholeJob

DELIVERY_SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 800

File = dict[str, Any]
"""A file for `apply`, as YAML reads it."""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    return WholeJob(installation, kinesis, tmp_path)


def edit(job: WholeJob, change: Callable[[File], None]) -> None:
    """Change the text that `apply` puts into force."""
    file = yaml.safe_load(job.text)
    change(file)
    job.text = yaml.safe_dump(file, sort_keys=False)


def flow(file: File, flow_id: str) -> File:
    (found,) = (flow for flow in file["flows"] if flow["id"] == flow_id)
    return found


def richer_vips(file: File) -> None:
    vips = flow(file, "vip-to-crm")
    vips["attributes"].append("homeAddress.city")
    vips["options"] |= {"includeSegmentTimestamps": False, "identityFields": "all"}


def newsletter_off(file: File) -> None:
    flow(file, "newsletter")["state"] = "disabled"


def newsletter_on(file: File) -> None:
    flow(file, "newsletter")["state"] = "enabled"


def new_flow(file: File) -> None:
    """Return a flow of everybody who is in any of four audiences, also by a change that nobody else maps."""
    stores = flow(file, "vip-to-crm") | {
        "id": "stores",
        "name": "Stores",
        "attributes": ["homeAddress.city", "_shop.visits"],
        "options": {},
    }
    stores["destination"] = stores["destination"] | {"stream": f"stores-{file['flows'][0]['destination']['stream']}"}
    stores["audiences"] = [
        {"namespace": "ups", "id": audience} for audience in ("store-visitors", "frequent-buyers", "vip-customers")
    ]
    file["flows"].append(stores)


def other_names(file: File) -> None:
    for audience in file["audiences"]:
        audience["name"] = f"{audience['name']}, as of now"


class Sent(NamedTuple):
    """A record of `exports`, and by which version of its flow it was decided."""

    record_id: str
    etag: str
    value: bytes


def exports(job: WholeJob) -> Iterator[tuple[str, int, int, Sent]]:
    """(flow, partition and offset of the source event, record), of those that an event caused."""
    settings = job.installation.settings
    for record in read_topic(settings, settings.topics.exports):
        headers = {name: value.decode() for name, value in record.headers}
        if not headers[ExportHeader.RECORD_ID].startswith(settings.topics.profile_events):
            continue
        place = int(headers[ExportHeader.SOURCE_PARTITION]), int(headers[ExportHeader.SOURCE_OFFSET])
        yield (
            exported(record).flow_id,
            *place,
            Sent(headers[ExportHeader.RECORD_ID], headers[ExportHeader.FLOW_ETAG], record.value or b""),
        )


def test_changed_flows_hold_for_what_is_written_a_second_after_the_acknowledgement(job: WholeJob) -> None:
    """M2; the change itself exports who is in the new flow, and nothing else (E1, E3, F2)."""
    job.create_streams()
    before = job.apply()
    events = shop_events(3_000, customers=300)
    job.send(islice(events, 1_500))

    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        for change in (richer_vips, newsletter_off, new_flow, other_names):
            edit(job, change)
        job.create_streams()
        after, ends = job.apply(), job.ends()
        time.sleep(HOLDS_AFTER_SECONDS)  # what the contract asks of an author
        job.send(events)
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    replayed = job.require_equal_to_replay(
        catalog_of=lambda record: before if record.offset < ends[record.partition] else after
    )
    decided = {
        record.id: record.flow_etag for record in replayed.expectation.records if not record.id.startswith("backfill-")
    }
    assert len(decided) < len(replayed.expectation.records)
    assert {sent.record_id: sent.etag for _, _, _, sent in exports(job)} == decided
    assert {flow_id for flow_id, partition, offset, _ in exports(job) if offset >= ends[partition]} == {
        "vip-to-crm",
        "customer-360",
        "stores",
    }


class Version(NamedTuple):
    """A state of the flows: `holds_from` are the ends of the source partitions a second after it was acknowledged."""

    catalog: Catalog
    holds_from: Mapping[int, int]


def test_a_flow_changes_once_in_each_partition_while_events_flow(job: WholeJob) -> None:
    """M2, A12: every record is what replay gives with the flow of its etag, and no version comes back."""
    job.create_streams()
    versions = [Version(job.apply(), {})]
    changes = ((richer_vips, newsletter_off), (new_flow,), (newsletter_on,))

    with job.worker() as worker:
        with flowing(job, shop_events(100_000, customers=300), EVENTS_A_SECOND):
            wait_until(lambda: job.delivered() > 0, "the first deliveries", 60)
            for together in changes:
                for change in together:
                    edit(job, change)
                job.create_streams()
                catalog = job.apply()
                time.sleep(HOLDS_AFTER_SECONDS)  # what the contract asks of an author
                versions.append(Version(catalog, job.ends()))
            wait_until(
                lambda: job.processed() > sum(versions[-1].holds_from.values()),
                "events after the last change",
                DELIVERY_SECONDS,
            )
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    faults, seen = read_by_versions(job, versions)
    assert not faults, "\n".join(faults[:10])
    assert seen == {"vip-to-crm": 2, "newsletter": 2, "customer-360": 1, "stores": 1}


def read_by_versions(job: WholeJob, versions: Sequence[Version]) -> tuple[list[str], dict[str, int]]:
    """Return what of `exports` no order of versions explains, and how many etags each flow's records carry.

    At each event of a partition a flow stands at some version, never earlier than at the event before, and not earlier
    than what holds there. The lowest that explains what the event sent, or did not send, leaves most to the events that
    follow.
    """
    found: dict[tuple[str, int], dict[int, Sent]] = defaultdict(dict)
    for flow_id, partition, offset, sent in exports(job):
        assert offset not in found[flow_id, partition], f"twice: {sent.record_id}"
        found[flow_id, partition][offset] = sent
    wanted = [decisions(job, version.catalog) for version in versions]
    faults: list[str] = []
    for place in {*found, *(place for decided in wanted for place in decided)}:
        lowest, (flow_id, partition) = 0, place
        offsets = sorted({*found[place], *(offset for decided in wanted for offset in decided[place])})
        for offset in offsets:
            holding = max(
                number for number, version in enumerate(versions) if offset >= version.holds_from.get(partition, 0)
            )
            lowest = max(lowest, holding)
            fits = [
                number
                for number in range(lowest, len(versions))
                if wanted[number][place].get(offset) == found[place].get(offset)
            ]
            if not fits:
                faults.append(
                    f"{flow_id}, event {partition}-{offset}: no version from {lowest} on sends"
                    f" {found[place].get(offset)}"
                )
                break
            lowest = fits[0]
    etags: dict[str, set[str]] = defaultdict(set)
    for (flow_id, _), records in found.items():
        etags[flow_id] |= {sent.etag for sent in records.values()}
    return faults, {flow_id: len(known) for flow_id, known in etags.items()}


def decisions(job: WholeJob, catalog: Catalog) -> dict[tuple[str, int], dict[int, Sent]]:
    """Return what replay with one catalog sends: by flow and partition, by the offset of the event."""
    decided: dict[tuple[str, int], dict[int, Sent]] = defaultdict(dict)
    for record in job.replay(lambda _: catalog).expectation.records:
        _, partition, offset = record.id.removesuffix(f"-{record.flow_id}").rsplit("-", 2)
        decided[record.flow_id, int(partition)][int(offset)] = Sent(record.id, record.flow_etag, record.value)
    return decided


def test_records_that_wait_go_where_their_flow_says_when_they_are_sent(job: WholeJob) -> None:
    """G9: a deleted flow's become dead letters, a disabled flow's still leave, another destination is followed."""
    before = job.apply()  # no stream is there: everything waits
    streams = {flow.id: flow.destination.stream for flow in job.configuration.flows}
    job.send(shop_events(600, customers=100))

    with job.worker(kinesis_probe_seconds=0.5) as worker:
        wait_until(lambda: not job.lags()[job.installation.topics.profile_events], "all decisions", DELIVERY_SECONDS)
        waiting = list(exports(job))
        edit(job, lambda file: file["flows"].remove(flow(file, "vip-to-crm")))
        edit(job, newsletter_off)
        edit(
            job,
            lambda file: flow(file, "customer-360")["destination"].update(
                stream=f"elsewhere-{streams['customer-360']}"
            ),
        )
        job.create_streams()
        job.apply("--prune")
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    expectation = job.replay(lambda _: before).expectation
    assert {flow_id for flow_id, _, _, _ in waiting} == {"vip-to-crm", "newsletter", "customer-360"}
    assert len(waiting) == len(expectation.records)
    for flow_id, stream in (
        ("newsletter", streams["newsletter"]),
        ("customer-360", f"elsewhere-{streams['customer-360']}"),
    ):
        sent = [record.data for record in read_stream(job.kinesis, REGION, stream)]
        assert sorted(sent) == sorted(record.value for record in expectation.of_flow(flow_id))
    settings = job.installation.settings
    letters = [
        letter
        for letter in read_evidence(settings, (), job.kinesis).dead_letters
        if letter.topic == settings.topics.exports
    ]
    assert {letter.reason for letter in letters} == {DeadLetterReason.FLOW_DELETED}
    gone = [(record.key.encode(), record.value) for record in expectation.of_flow("vip-to-crm")]
    assert sorted((letter.key, letter.value) for letter in letters) == sorted(gone)
