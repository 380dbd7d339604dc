"""What leaves without an event: backfill, resend, catch-up, un-mapping, and the consent gate (contract section 5)."""

from typing import Any

import orjson
import pytest

from processor.core.job_records import JobSkip, job_record
from processor.core.replay import Replay
from processor.core.step import Step
from schemas.export import ExportRecord
from schemas.job import Job, JobKind, MissedChanges
from schemas.kafka import ReadRecord
from schemas.wire.profiles_changelog import decode_missed_changes, encode_missed_changes
from tests.core.control import Control
from tests.kit.given import LATER, NOON, a_flow, cloud_event, exited, realized


class Living:
    """A replay whose flows change on the way."""

    def __init__(self, *flows: Any) -> None:
        self.control = Control()
        self.replay = Replay(self.control.catalog)
        self._offset = 0
        for flow in flows:
            self.change(self.control.put(flow))

    def event(
        self,
        data: Any = None,
        key: str = "p-1",
        kind: str = "profile.patched",
        *,
        partition: int = 0,
        **attributes: Any,
    ) -> list[str]:
        """Ids of the flows that send a record, and why: `flow causes`."""
        return [
            f"{record.flow_id} {','.join(record.causes)}"
            for record in self.step(data, key, kind, partition, **attributes).records
        ]

    def reason(self, data: Any = None, kind: str = "profile.patched") -> str:
        """Why the one flow sends nothing."""
        ((_, reason),) = self.step(data, kind=kind).skipped
        return str(reason)

    def step(
        self, data: Any = None, key: str = "p-1", kind: str = "profile.patched", partition: int = 0, **attributes: Any
    ) -> Step:
        value = orjson.dumps(cloud_event(data, kind, key, id=f"e-{self._offset}", **attributes))
        step = self.replay.feed(ReadRecord("profile-events", partition, self._offset, 0, key.encode(), value))
        assert step.dead_letter is None
        self._offset += 1
        return step

    def change(self, catalog: Any) -> list[ExportRecord]:
        return list(self.replay.change(catalog))

    def job(self, kind: str) -> Job:
        return next(job for job in reversed(self.control.jobs.values()) if job.kind == kind)


def content(record: ExportRecord) -> Any:
    return orjson.loads(record.data)


def causes(records: list[ExportRecord]) -> list[tuple[str, list[str]]]:
    return [(record.key, list(record.causes)) for record in records]


def test_e1_a_new_flow_sends_every_profile_now_realized_in_what_it_maps() -> None:
    living = Living()
    living.event({**realized("a"), "n": 1}, "p-1")
    living.event({**realized("b"), "n": 2}, "p-2")
    living.event({**realized("a", "b"), "n": 3}, "p-3")
    living.event(exited("b"), "p-3")

    records = living.change(living.control.put(a_flow("f", ["a"], ["n"])))

    job = living.job("backfill")
    assert [record.id for record in records] == [f"backfill-{job.id}-f-p-1", f"backfill-{job.id}-f-p-3"]
    assert {record.time for record in records} == {job.started_at}
    assert [record.version for record in records] == [1, 2], "the profile's current one"
    assert causes(records) == [("p-1", ["backfill:ups/a"]), ("p-3", ["backfill:ups/a"])]
    assert content(records[0]) == {
        "n": 1,
        "segmentMembership": {"ups": {"a": {"lastQualificationTime": NOON, "status": "realized"}}},
        "identityMap": {},
    }
    assert content(records[1])["segmentMembership"]["ups"].keys() == {"a"}, "b is not mapped, and exited"


def test_i12_e1_a_job_sends_what_each_partition_holds_of_a_key_that_is_on_two() -> None:
    """As two workers would, of which each knows its own partition; E1 gives both records one id."""
    living = Living()
    living.event({**realized("a"), "n": 1}, partition=0)
    living.event({**realized("a", "u"), "n": 2}, partition=3)
    living.event({"n": 3}, partition=3)

    records = living.change(living.control.put(a_flow("f", ["a"], ["n"])))

    assert [(content(record)["n"], record.version) for record in records] == [(1, 1), (3, 2)]
    assert len({record.id for record in records}) == 1


def test_i12_f1_a_catch_up_asks_each_partition_whether_its_profile_changed() -> None:
    living = Living(a_flow("f", ["a"], ["n"]))
    living.event({**realized("a"), "n": 1}, partition=0)
    living.event({**realized("a"), "n": 1}, partition=3)
    living.change(living.control.set("f", state="disabled"))
    living.event({"n": 2}, partition=3)
    living.event(kind="profile.deleted", partition=0)

    (record,) = living.change(living.control.set("f", state="enabled"))

    assert content(record)["n"] == 2


def test_e1_the_audience_of_the_job_counts_as_the_cause_for_what_else_is_listed() -> None:
    """C2 (b): unmapped audiences of the same merge policy leave with it."""
    living = Living()
    living.event(realized("a", "other"))

    (record,) = living.change(living.control.put(a_flow("f", ["a"])))

    assert content(record)["segmentMembership"]["ups"].keys() == {"a", "other"}


def test_e1_mapping_one_more_audience_sends_only_its_members() -> None:
    living = Living(a_flow("f", ["a"]))
    living.event(realized("a"), "p-1")
    living.event(realized("b"), "p-2")

    records = living.change(living.control.put(a_flow("f", ["a", "b"])))

    assert causes(records) == [("p-2", ["backfill:ups/b"])]


@pytest.mark.parametrize("change", [{"attributes": ["n"]}, {"name": "other"}, {"options": {"membershipScope": "all"}}])
def test_e3_what_is_not_a_mapping_of_an_audience_sends_nothing(change: Any) -> None:
    living = Living(a_flow("f", ["a"]))
    living.event({**realized("a"), "n": 1})

    assert living.change(living.control.set("f", **change)) == []


def test_e1_a_flow_created_disabled_sends_when_it_is_first_enabled_and_nothing_before() -> None:
    living = Living()
    living.event(realized("a"), "p-1")

    assert living.change(living.control.put(a_flow("f", ["a"]) | {"state": "disabled"})) == []
    living.event(realized("a"), "p-2")
    records = living.change(living.control.set("f", state="enabled"))

    assert causes(records) == [("p-1", ["backfill:ups/a"]), ("p-2", ["backfill:ups/a"])]
    job = living.job("backfill")
    assert job.started_at is not None
    assert job.started_at > job.created_at
    assert living.change(living.control.set("f", name="again")) == [], "once"


def test_e1_what_is_unmapped_before_it_began_is_not_sent() -> None:
    living = Living(a_flow("f", ["a"]) | {"state": "disabled"})
    living.event(realized("a"), "p-1")
    living.event(realized("b"), "p-2")
    living.change(living.control.put(a_flow("f", ["a", "b"]) | {"state": "disabled"}))
    living.change(living.control.put(a_flow("f", ["b"]) | {"state": "disabled"}))

    assert causes(living.change(living.control.set("f", state="enabled"))) == [("p-2", ["backfill:ups/b"])]


def test_e4_resend_sends_every_member_again_under_its_own_name() -> None:
    living = Living(a_flow("f", ["a"]))
    living.event(realized("a"), "p-1")

    records = living.change(living.control.resend("f"))

    assert causes(records) == [("p-1", ["resend:ups/a"])]
    assert records[0].id == f"resend-{living.job('resend').id}-f-p-1"


class TestCatchUp:
    """F1: disabled, changed, enabled."""

    def living(self, **options: Any) -> Living:
        living = Living(a_flow("f", ["a", "b"], ["n"], **options))
        living.event({**realized("a"), "n": 1}, "p-1")
        living.event({**realized("a"), "n": 1}, "p-2")
        living.change(living.control.set("f", state="disabled"))
        return living

    def enable(self, living: Living) -> list[tuple[str, list[str]]]:
        return causes(living.change(living.control.set("f", state="enabled")))

    def test_one_record_for_each_profile_that_changed_however_often(self) -> None:
        living = self.living()
        assert living.event({"n": 2}, "p-1") == []
        living.event({"n": 3}, "p-1")

        records = living.change(living.control.set("f", state="enabled"))

        assert causes(records) == [("p-1", ["catchup:ups/a"])]
        assert content(records[0])["n"] == 3
        assert records[0].version == 3

    def test_notes_of_before_are_read_as_due_and_those_that_are_not_due_tell_so(self) -> None:
        """A state may hold notes of a version that noted nothing else."""
        of_before = decode_missed_changes(b'["0123abcd",["ups","a"]]')

        assert of_before == MissedChanges("0123abcd", frozenset({("ups", "a")}), is_due=True)
        for note in (
            of_before,
            of_before._replace(is_due=False),
            MissedChanges("", frozenset()),
            MissedChanges("", frozenset(), is_due=False),
        ):
            assert decode_missed_changes(encode_missed_changes(note)) == note

    def test_none_for_one_that_is_again_as_it_was(self) -> None:
        living = self.living()
        living.event({"n": 2}, "p-1")
        living.event({"n": 1}, "p-1")

        assert self.enable(living) == []

    def test_none_for_a_change_that_would_have_sent_none(self) -> None:
        living = self.living()
        living.event({"unmapped": 2}, "p-1")

        assert self.enable(living) == []

    def test_entering_and_leaving_are_told_as_such(self) -> None:
        living = self.living()
        living.event(realized("b"), "p-1")
        living.event(exited("a"), "p-2")
        living.event(realized("a"), "p-3")

        assert self.enable(living) == [
            ("p-1", ["catchup:ups/b"]),
            ("p-2", ["catchup:ups/a"]),
            ("p-3", ["catchup:ups/a"]),
        ]

    def test_a_profile_that_came_and_went_meanwhile_was_never_there(self) -> None:
        living = self.living()
        living.event(realized("a"), "p-3")
        living.event(None, "p-3", "profile.deleted")

        assert self.enable(living) == []

    def test_skip_sends_nothing_and_forgets(self) -> None:
        living = self.living(onResume="skip")
        living.event({"n": 2}, "p-1")

        assert self.enable(living) == []
        living.change(living.control.set("f", state="disabled"))
        assert self.enable(living) == []

    def test_pauses_follow_each_other_each_with_its_own(self) -> None:
        living = self.living()
        living.event({"n": 2}, "p-1")
        assert self.enable(living) == [("p-1", ["catchup:ups/a"])]
        living.change(living.control.set("f", state="disabled"))
        living.event({"n": 2}, "p-2")

        assert self.enable(living) == [("p-2", ["catchup:ups/a"])]

    def test_what_was_mapped_meanwhile_is_backfilled_and_nobody_is_sent_twice(self) -> None:
        living = self.living()
        living.event(realized("c"), "p-1")
        living.event({**realized("c"), "n": 5}, "p-2")
        living.change(living.control.set("f", audiences=[{"namespace": "ups", "id": each} for each in "abc"]))

        assert self.enable(living) == [("p-2", ["catchup:ups/c"]), ("p-1", ["backfill:ups/c"])]

    def test_nothing_leaves_of_a_profile_that_is_in_no_audience_any_more_unless_it_left_meanwhile(self) -> None:
        living = self.living()
        living.event(exited("a"), "p-1")
        assert self.enable(living) == [("p-1", ["catchup:ups/a"])]
        living.change(living.control.set("f", state="disabled"))
        living.event({"n": 9}, "p-1")

        assert self.enable(living) == [], "A9"


class TestUnmapping:
    """F2."""

    def test_nothing_is_sent_unless_asked_for(self) -> None:
        living = Living(a_flow("f", ["a", "b"]))
        living.event(realized("a"))

        assert living.change(living.control.put(a_flow("f", ["b"]))) == []
        assert living.change(living.control.delete("f")) == []

    def test_emit_exit_on_unmap_sends_the_record_with_the_audience_exited(self) -> None:
        living = Living(a_flow("f", ["a", "b"], ["n"], emitExitOnUnmap=True))
        living.event({**realized("a", "b"), "n": 1}, "p-1")
        living.event(realized("b"), "p-2")

        (record,) = living.change(living.control.put(a_flow("f", ["b"], ["n"], emitExitOnUnmap=True)))

        job = living.job("unmap")
        assert (record.id, record.causes, record.time) == (f"unmap-{job.id}-f-p-1", ("unmap:ups/a",), job.started_at)
        assert content(record) == {
            "n": 1,
            "segmentMembership": {
                "ups": {
                    "a": {"lastQualificationTime": job.started_at, "status": "exited"},
                    "b": {"lastQualificationTime": NOON, "status": "realized"},
                }
            },
            "identityMap": {},
        }

    def test_a_deleted_flow_sends_its_last_exits_and_nothing_else_ever(self) -> None:
        living = Living(a_flow("f", ["a"], ["n"], emitExitOnUnmap=True))
        living.event({**realized("a"), "n": 1}, "p-1")

        (record,) = living.change(living.control.delete("f"))

        assert content(record) == {
            "segmentMembership": {
                "ups": {"a": {"lastQualificationTime": living.job("unmap").started_at, "status": "exited"}}
            },
            "identityMap": {},
        }
        assert living.event({"n": 2}, "p-1") == []

    def test_a_disabled_flow_sends_no_exits(self) -> None:
        living = Living(a_flow("f", ["a"], emitExitOnUnmap=True))
        living.event(realized("a"))
        living.change(living.control.set("f", state="disabled"))

        assert living.change(living.control.delete("f")) == []


class TestConsent:
    """F6: an opt-out is as leaving all mapped audiences."""

    def living(self) -> Living:
        living = Living(a_flow("f", ["a", "b"], ["n"], consentGate="consents.share"))
        living.event({**realized("a", "b"), "n": 1})
        return living

    @pytest.mark.parametrize(
        "no",
        [
            False,
            "n",
            "N ",
            "out",
            "dn",
            "p",
            "u",
            "",
            "yes",
            0,
            1,
            [],
            ["y"],
            {},
            {"val": "n"},
            {"val": False},
            {"other": "y"},
        ],
    )
    def test_opting_out_sends_one_record_with_all_mapped_audiences_exited(self, no: Any) -> None:
        living = self.living()

        assert living.event({"consents": {"share": no}}, time=LATER) == ["f segment:ups/a:exited,segment:ups/b:exited"]
        assert living.event({"n": 2}) == [], "A9: it is in no mapped audience"
        assert living.event(exited("a")) == []

    @pytest.mark.parametrize(
        "yes",
        [
            True,
            "y",
            "Dy",
            " LI\t",
            "ct",
            "CP",
            "vi",
            "Pi",
            "in",
            "IN ",
            None,
            {"val": "dy", "time": NOON},
            {"val": True},
        ],
    )
    def test_xdms_consents_and_absence_are_no_opt_outs(self, yes: Any) -> None:
        living = self.living()

        assert living.event({"consents": {"share": yes}}) == []
        assert living.event({"n": 2}) == ["f attribute:n"]

    def test_an_opt_out_at_any_of_several_paths_counts_until_the_last_of_them_ends(self) -> None:
        living = Living(a_flow("f", ["a"], ["n"], consentGate=["consents.share", "optInOut.all"]))
        living.event({**realized("a"), "consents": {"share": "y"}})

        assert living.event({"optInOut": {"all": "out"}}) == ["f segment:ups/a:exited"]
        assert living.event({"consents": {"share": "n"}}) == []
        assert living.event({"optInOut": None}) == []
        assert living.event({"consents": None}) == ["f segment:ups/a:realized"]

    def test_whom_the_gate_alone_holds_back_has_its_reason_and_the_others_have_theirs(self) -> None:
        living = self.living()
        living.event({"consents": {"share": "n"}})

        assert living.reason({"n": 2}) == "consent"
        assert living.reason({"identityMap": {"E": [{"id": "1"}]}}) == "consent"
        assert living.reason({"unmapped": 1}) == "nothing_mapped_changed"
        assert living.reason(exited("a", "b")) == "consent"
        assert living.reason({"n": 3}) == "not_a_member", "with a consent it would not be sent either"
        assert living.reason(realized("a")) == "consent"
        assert living.reason({"into": "p-9"}, kind="profile.merged") == "merged_silently"

    def test_a_job_says_so_too_of_a_member_and_of_nobody_else(self) -> None:
        living = self.living()
        living.event({"consents": {"share": "n"}})
        living.event({**exited("a"), "consents": {"share": "n"}}, "p-2")
        catalog = living.control.resend("f")
        job = catalog.jobs[-1]

        assert job_record(job, "p-1", living.replay.profiles["profile-events", 0, b"p-1"], catalog) is JobSkip.CONSENT
        assert (
            job_record(job, "p-2", living.replay.profiles["profile-events", 0, b"p-2"], catalog) is JobSkip.NOT_A_MEMBER
        )

    def test_opting_in_again_is_as_entering(self) -> None:
        living = self.living()
        living.event({"consents": {"share": "n"}})
        living.event(exited("a"))

        assert living.event({"consents": {"share": "y"}}) == ["f segment:ups/b:realized"]

    def test_the_exit_is_at_the_time_of_the_opt_out(self) -> None:
        living = self.living()
        value = orjson.dumps(cloud_event({"consents": {"share": "n"}}, id="out", time=LATER))

        (record,) = living.replay.feed(ReadRecord("profile-events", 0, 9, 0, b"p-1", value)).records

        assert content(record)["segmentMembership"]["ups"]["a"] == {"lastQualificationTime": LATER, "status": "exited"}

    def test_jobs_and_deletions_pass_over_it(self) -> None:
        living = self.living()
        living.event({"consents": {"share": "n"}})

        assert living.change(living.control.resend("f")) == []
        for mapped in (["a"], []):
            after = a_flow("f", mapped, ["n"], consentGate="consents.share", emitExitOnUnmap=True)
            assert living.change(living.control.put(after)) == [], "they left with the opt-out"
        assert living.event(None, kind="profile.deleted") == []

    def test_an_opt_out_concerns_the_flow_among_many(self) -> None:
        """The index of flows knows the gate's path."""
        living = self.living()
        for number in range(5):
            living.change(living.control.put(a_flow(f"other-{number}", ["x"], ["y"])))

        assert living.event({"consents": {"share": "n"}}) == ["f segment:ups/a:exited,segment:ups/b:exited"]


def test_a_job_says_what_it_is_about_and_survives_as_json() -> None:
    living = Living(a_flow("f", ["a"]))
    job = living.job(JobKind.BACKFILL)

    assert Job.model_validate_json(job.model_dump_json(by_alias=True)) == job
    assert job.wanted == (("ups", "a"),)
