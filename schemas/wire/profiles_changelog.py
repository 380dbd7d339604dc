"""Keys and values of the topic `profiles-changelog` and of RocksDB, the same in both.

    b"p" + profile id      a profile's row, below
    b"w"                   the SourcePosition: up to where in profile-events this state is complete
    b"j" + job id          how far a job is here: schemas.job.JobProgress as JSON
    b"x" + job id + b"\0" + profile id     the exported marker: the job's flow sent this profile since the job began
                                           (E2); gone when the job is done here
    b"m" + job id + b"\0" + profile id     schemas.job.MissedChanges: the profile as the catchup's disabled flow knew it
                                           (F1); gone when it has caught up
    b"d" + deadline + profile id           something of this profile may end then, or later, never earlier (F5): the
                                           index of deadlines
    b"i…", b"I"            the index of identities, and how far it is (schemas/wire/identity_index.py)

A row is one compact JSON array: its format (4; 3 is read too, `schemas.wire.old_profile_rows`), the offset, the fields
of `schemas.profile.Profile` in their order, and its two deadlines. A tombstone removes a profile. One array, since a
part costs less to decode than to set apart: 4.2 µs a row of 1.5 KB, 5.3 in four parts with the identities left as bytes
(measured).
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from schemas.job import JobProgress, MissedChanges
from schemas.kafka import BadRecord
from schemas.profile import Profile
from schemas.wire import old_profile_rows as old_rows

PROFILE: Final = b"p"
SOURCE_POSITION_KEY: Final = b"w"
JOB: Final = b"j"
_EXPORTED: Final = b"x"
_MISSED: Final = b"m"
DEADLINE: Final = b"d"
DEADLINE_CHARACTERS: Final = 20  # of the form of C8
FORMAT: Final = 4
_NOT_DUE: Final = "?"


class UnreadableRow(BadRecord):
    """The bytes are no row of a format that this version knows: another version wrote them, or they are damaged."""


@dataclass(slots=True, init=False)  # as schemas.event.Event
class Row:
    """A profile, and the offset in profile-events of the last event applied to it.

    `deadline`: where the profile stands in the index of deadlines, "": it does not. `announced`: the last deadline
    whose event was written and is not applied yet, "": there is none; until it is, the profile stands where its event
    will be missed (contract F5: once a deadline).
    """

    profile: Profile
    offset: int
    deadline: str
    announced: str

    def __init__(self, profile: Profile, offset: int, deadline: str = "", announced: str = "") -> None:
        self.profile = profile
        self.offset = offset
        self.deadline = deadline
        self.announced = announced


class SourcePosition(NamedTuple):
    """The position in profile-events up to which the state of a partition is complete.

    `next_offset` is the first offset of profile-events that is not in it. `bad_in_a_row` counts the unusable events
    just before it (contract I4). The ids are Kafka's of the two topics, None where the broker does not tell: a topic
    that was deleted and created again has another. `profiles` is how many there are.
    """

    next_offset: int
    bad_in_a_row: int = 0
    source_topic_id: str | None = None
    changelog_topic_id: str | None = None
    profiles: int = 0


def profile_key(profile_id: bytes) -> bytes:
    """Return the key of a profile's row."""
    return PROFILE + profile_id


def job_key(job_id: str) -> bytes:
    """Return the key of a job's progress."""
    return JOB + job_id.encode()


def exported_key(job_id: str, profile_id: bytes) -> bytes:
    """Return the key of the exported marker that a job's flow sent a profile.

    Of no profile: what all exported markers of the job begin with.
    """
    return b"%b%b\0%b" % (_EXPORTED, job_id.encode(), profile_id)


def missed_key(missed_id: str, profile_id: bytes) -> bytes:
    """Return the key of what a flow missed of a profile.

    `missed_id`: of the catchup. Of no profile: what all of these keys begin with.
    """
    return b"%b%b\0%b" % (_MISSED, missed_id.encode(), profile_id)


def deadline_key(deadline: str, profile_id: bytes) -> bytes:
    """Return the key of a profile in the index of deadlines.

    Of no profile: what lies below all that end then or later.
    """
    return b"%b%b%b" % (DEADLINE, deadline.encode(), profile_id)


def encode_row(profile: Profile, offset: int, deadline: str = "", announced: str = "") -> bytes:
    """Return the value of a profile's row."""
    return orjson.dumps(
        (
            FORMAT,
            offset,
            profile.attributes,
            profile.identities,
            profile.memberships,
            profile.entry_fields,
            profile.version,
            profile.event_ids,
            profile.size_bound_bytes,
            deadline,
            announced,
        )
    )


def decode_row(value: bytes) -> Row:
    """Return the row of a value; raises UnreadableRow."""
    try:
        row_format, offset, attributes, identities, memberships, entry_fields, version, event_ids, *rest = orjson.loads(
            value
        )
        size_bound, deadline, announced = rest
    except (ValueError, TypeError) as error:
        raise UnreadableRow(_why_unreadable(value, str(error))) from None
    profile = Profile(attributes, identities, memberships, entry_fields, version, tuple(event_ids), size_bound)
    if row_format != FORMAT:
        if row_format != old_rows.FORMAT:
            raise UnreadableRow(_why_unreadable(value, ""))
        profile = old_rows.renewed(profile, value)
    return Row(profile, offset, deadline, announced)


def _why_unreadable(value: bytes, error: str) -> str:
    written = re.match(rb"\[(\d+),", value)
    if written is None or int(written[1]) == FORMAT:
        return f"a row is damaged: {value[:8]!r}…: {error}"
    return (
        f"a row has format {int(written[1])}, this version reads {FORMAT}: another version of profile-exporter wrote"
        " it\n  start that version; or, if it was tried and given up, let this one begin anew with another APP_ID"
    )


def encode_source_position(position: SourcePosition) -> bytes:
    """Return the value of the source position: a JSON object of its fields."""
    return orjson.dumps(position._asdict())


def decode_source_position(value: bytes) -> SourcePosition:
    """Return the source position of a value; raise UnreadableRow."""
    try:
        return SourcePosition(**orjson.loads(value))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise UnreadableRow(f"damaged source position: {error}") from None


def encode_job_row(progress: JobProgress) -> bytes:
    """Return the value of a job's row: as on the topic `job-progress`."""
    return progress.model_dump_json(by_alias=True, exclude_none=True).encode()


def decode_job_row(value: bytes) -> JobProgress:
    """Return the progress of a job's row."""
    return JobProgress.model_validate_json(value)


def encode_missed_changes(missed: MissedChanges) -> bytes:
    """Return the value of what a flow missed.

    What is due has the form in which versions before wrote all of them.
    """
    return orjson.dumps([missed.digest if missed.is_due else _NOT_DUE + missed.digest, *sorted(missed.realized)])


def decode_missed_changes(value: bytes) -> MissedChanges:
    """Return what `encode_missed_changes` encoded."""
    digest, *realized = orjson.loads(value)
    return MissedChanges(
        digest.removeprefix(_NOT_DUE),
        frozenset((namespace, audience) for namespace, audience in realized),
        digest[:1] != _NOT_DUE,
    )
