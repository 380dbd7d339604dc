"""Make what a job sends for one profile, as it stands (E1, E4, F1, F2).

Pure; the same for worker and replay.

backfill, resend    the audiences of the job in which the profile is realized are the cause
unmap               those audiences, exited at the job's start; of a deleted flow nothing else (as F3)
catchup             where the record differs from what it was when the flow was disabled
"""

from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from processor.core.catalog import Catalog, CompiledFlow, CompiledJob
from processor.core.causes import Causes, find_realized, passes_gate
from processor.core.consent import consented, opted_out
from processor.core.envelope import finish_record
from processor.core.membership import Transition
from processor.core.partition_key import partition_key
from processor.core.record_ids import job_record_id
from processor.core.render import render, render_exits, render_identities
from schemas.audience import AudienceKey
from schemas.export import ExportRecord
from schemas.job import JobKind, MissedChanges
from schemas.profile import REALIZED, Document, Memberships, Profile

_CATCHUP: Final = JobKind.CATCHUP
_UNMAP: Final = JobKind.UNMAP
_NO_CAUSES: Final = Causes((), (), ())


class JobSkip(StrEnum):
    """The reasons why a job sends nothing for a profile."""

    NOT_A_MEMBER = "not_a_member"  # not realized in any audience of the job, or of the flow (A9)
    ALREADY_EXPORTED = "already_exported"  # E2: the flow sent it since the job began
    UNCHANGED = "unchanged"  # F1: its record is what it was when the flow was disabled
    DELETED = "deleted"  # F3: it is gone
    CONSENT = "consent"  # F6: it would be sent, were it not opted out


class Passed(NamedTuple):
    """A profile before an event that a disabled flow did not hear of, and whether the flow would have sent a record."""

    before: Profile | None
    sends: bool


def missed_changes(
    job: CompiledJob, passed: Passed, known: MissedChanges | None, catalog: Catalog
) -> MissedChanges | None:
    """Return what a catchup that tracks missed changes must keep of a profile (F1); None where nothing is new.

    `known`: what is kept of it.

    So it tells of the profile as it was when the flow was disabled: before its first event that made another
    record of it. Where an event made none after all (`RecordIndex` is complete, not exact), this tells the
    same.
    """
    if known is not None:
        return known._replace(is_due=True) if passed.sends and not known.is_due else None
    flow, since = job.flow, job.job.created_at
    digest, realized = "", frozenset[AudienceKey]()
    if passed.before is not None:
        seen = consented(flow, passed.before)
        digest, realized = _digest(flow, seen, since, catalog), frozenset(find_realized(flow.mapped, seen.memberships))
    return MissedChanges(digest, realized, passed.sends)


def job_record(job: CompiledJob, key: str, profile: Profile, catalog: Catalog) -> ExportRecord | JobSkip:
    """Make the record of a backfill, resend or unmap for one profile, whose id is `key`, or say why there is none.

    When a job begins is in `core/job_lifecycle`, the scan in `pipeline/jobs/backfill`. Home of E1.
    """
    flow = job.flow
    found = _realized(job, profile.memberships)
    if not found:
        return JobSkip.NOT_A_MEMBER
    if opted_out(profile, flow.consent_gates):  # a member of nothing, also of what is not mapped any more (F6)
        return JobSkip.CONSENT
    time = _started(job)
    if job.kind is not _UNMAP:
        return _record(job, key, profile, found, render(flow, profile, time, Causes(found, (), ()), catalog))
    exits = render_exits(flow, found, time)
    if flow.enabled:
        content = render(flow, profile, time, _NO_CAUSES, catalog)
        for namespace, entries in exits.items():
            content["segmentMembership"].setdefault(namespace, {}).update(entries)
    else:
        content = {"segmentMembership": exits, "identityMap": render_identities(flow, profile)}
    return _record(job, key, profile, found, content)


def catchup_record(
    job: CompiledJob, key: str, profile: Profile | None, missed: MissedChanges, catalog: Catalog
) -> ExportRecord | JobSkip:
    """Make what a catchup sends for a profile whose flow `missed` changes, or say why nothing. Home of F1.

    Nothing leaves where its record is the same, be it by another way.
    """
    if profile is None:
        return JobSkip.DELETED
    flow = job.flow
    seen = consented(flow, profile)
    if _digest(flow, seen, job.job.created_at, catalog) == missed.digest:
        return JobSkip.UNCHANGED
    realized = find_realized(flow.mapped, seen.memberships)
    changed = {key for key in missed.realized.symmetric_difference(realized) if key[1] in flow.mapped.get(key[0], {})}
    if not (changed or passes_gate(flow, seen.memberships)):
        return JobSkip.CONSENT if passes_gate(flow, profile.memberships) else JobSkip.NOT_A_MEMBER
    causing = [
        (namespace, audience, seen.memberships[namespace][audience][0])
        for namespace, audience in sorted(changed or realized)
        if audience in seen.memberships.get(namespace, {})
    ]
    content = render(flow, seen, _started(job), Causes(causing, (), ()), catalog)
    return _record(job, key, profile, causing, content)


def _realized(job: CompiledJob, memberships: Memberships) -> list[Transition]:
    found: list[Transition] = []
    for namespace, audiences in job.audiences.items():
        entries = memberships.get(namespace)
        if entries is not None:
            found += [(namespace, audience, REALIZED) for audience in audiences if entries.get(audience, "") > REALIZED]
    return found


def _digest(flow: CompiledFlow, seen: Profile, time: str, catalog: Catalog) -> str:
    """Return the digest of the record that the profile has with nothing as its cause."""
    content = render(flow, seen, time, _NO_CAUSES, catalog)
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _started(job: CompiledJob) -> str:
    started = job.job.started_at
    assert started is not None
    return started


def _record(job: CompiledJob, key: str, profile: Profile, causing: list[Transition], content: Document) -> ExportRecord:
    flow, kind = job.flow, job.kind.value
    record_id = job_record_id(job.kind, job.id, flow.id, key)
    causes = sorted([f"{kind}:{namespace}/{audience}" for namespace, audience, _ in causing])
    return finish_record(
        flow,
        record_id,
        key,
        _started(job),
        profile.version,
        tuple(causes or [kind]),
        content,
        partition_key(flow.partition_key, key, profile),
    )
