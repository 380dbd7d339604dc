"""Tests of the control API as a process beside a real worker.

Changes, secrets, restarts, two at once.
"""

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx2
import orjson
import pytest
from cryptography.fernet import Fernet

from processor.kafka.reading import read_compacted, read_topic
from processor.kafka.writer import Writer
from processor.sandbox.streams import SECRET_KEY, create_stream, read_stream
from processor.sandbox.waiting import wait_until
from schemas.wire.flows import StoredFlow, encode_flow, flow_key, is_job_key
from tests.api.tutorial import BASE, HEADERS, Tutorial
from tests.kit.certificates import certificate
from tests.kit.installation import Installation
from tests.kit.kafka import free_ports
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
VISIBLE_SECONDS: Final = 1.0  # contract M2


class ApiProcess:
    """`profile-exporter api`, and what it said. `trusted`: the certificate that it must show."""

    def __init__(self, installation: Installation, log_file: Path, trusted: Path | None = None) -> None:
        (self.port,) = free_ports(1)
        self.log_file = log_file
        command = [str(Path(sys.executable).with_name("profile-exporter")), "api", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=installation.env, stdout=log_file.open("ab"), stderr=subprocess.STDOUT
        )
        verify = True if trusted is None else ssl.create_default_context(cafile=trusted)
        scheme = "http" if trusted is None else "https"
        self.client = httpx2.Client(base_url=f"{scheme}://127.0.0.1:{self.port}", timeout=SECONDS, verify=verify)
        wait_until(self._is_ready, f"the API: {self.said()}", SECONDS)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def said(self) -> str:
        return self.log_file.read_text()

    def stop(self) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@contextmanager
def api_of(
    installation: Installation, folder: Path, name: str = "api", trusted: Path | None = None
) -> Iterator[ApiProcess]:
    api = ApiProcess(installation, folder / f"{name}.log", trusted)
    try:
        yield api
    finally:
        api.stop()


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    installation.change(secrets_key=Fernet.generate_key().decode())
    return WholeJob(installation, kinesis, tmp_path)


def send(installation: Installation, *emails: str) -> None:
    """Patches of members of the tutorial's audience."""
    membership = {"segmentMembership": {"ups": {"aud-delorean": {"status": "realized"}}}}
    with Writer(installation.settings) as writer:
        for number, email in enumerate(emails):
            data = membership | {"personalEmail": {"address": email}}
            event = {"specversion": "1.0", "id": email, "source": "/t", "type": "profile.patched", "data": data}
            timestamp = int(time.time() * 1000)
            writer.write(
                installation.topics.profile_events,
                f"p-{number}".encode(),
                orjson.dumps(event),
                name=email,
                timestamp=timestamp,
            )


def emails_at(kinesis: str, stream: str) -> set[str]:
    return {
        orjson.loads(record.data)["personalEmail"]["address"] for record in read_stream(kinesis, "us-east-2", stream)
    }


def test_a_flow_of_the_tutorial_delivers_and_its_secret_is_nowhere_in_clear(
    job: WholeJob, kinesis: str, tmp_path: Path
) -> None:
    installation, stream = job.installation, f"vip-{job.installation.settings.app_id}"
    create_stream(kinesis, "us-east-2", stream, 2)
    with api_of(installation, tmp_path) as api, job.worker() as worker:
        tutorial = Tutorial(api.client, kinesis, stream)
        target_id = tutorial.connect_target(tutorial.connect_base(SECRET_KEY))
        flow = tutorial.create_flow(tutorial.connect_source(), target_id)
        assert "warnings" not in flow
        mapped = tutorial.map(flow["id"], flow["etag"])
        assert mapped.status_code == 200, mapped.text
        time.sleep(VISIBLE_SECONDS)  # so long after its acknowledgement a change holds for every event
        send(installation, "one@example.com")
        wait_until(lambda: emails_at(kinesis, stream) == {"one@example.com"}, "the first record", SECONDS)

        def switch(op: str) -> None:
            assert api.client.post(f"{BASE}/flows/{flow['id']}/action?op={op}", headers=HEADERS).status_code == 200
            time.sleep(VISIBLE_SECONDS)

        switch("disable")
        send(installation, "missed@example.com")
        wait_until(job.all_arrived, "delivery", SECONDS)
        while_disabled = emails_at(kinesis, stream)
        switch("enable")
        wait_until(lambda: "missed@example.com" in emails_at(kinesis, stream), "what the flow missed (F1)", SECONDS)
        send(installation, "two@example.com")
        wait_until(lambda: "two@example.com" in emails_at(kinesis, stream), "the last record", SECONDS)

        assert while_disabled == {"one@example.com"}
        assert emails_at(kinesis, stream) == {"one@example.com", "missed@example.com", "two@example.com"}
        etags = {
            dict(record.headers)["flow-etag"].decode()
            for record in read_topic(installation.settings, installation.topics.exports)
        }
        assert mapped.json()["etag"].strip('"') in etags
        answers = "".join(
            api.client.get(f"{BASE}/{kind}", headers=HEADERS).text
            for kind in ("connections", "targetConnections", "flows")
        )
        test = api.client.get(
            f"{BASE}/connections/{tutorial.one(f'/targetConnections/{target_id}')['baseConnectionId']}/test"
        ).json()
        said = answers + api.said() + worker.said() + installation.command("status", "--json").output

    assert test["result"] is True, test
    records = [record for name in installation.topics for record in read_topic(installation.settings, name)]
    written = b"".join((record.value or b"") + (record.key or b"") for record in records)
    assert SECRET_KEY not in said
    assert SECRET_KEY.encode() not in written


def test_an_audience_is_imported_by_an_upload(job: WholeJob, tmp_path: Path) -> None:
    installation, csv = job.installation, b"profileId\np-1\np-2\n,\n"
    with api_of(installation, tmp_path) as api:
        path, headers = "/v1/audiences/import", {"content-type": "text/csv"}
        done = api.client.post(
            path, params={"id": "loyalty", "name": "Loyal", "ttlDays": 7}, content=csv, headers=headers
        )
        unfit = api.client.post(path, params={"id": "loyalty"}, content=b"email\na@example.com\n", headers=headers)
        no_days = api.client.post(path, params={"id": "loyalty", "ttlDays": 91}, content=csv, headers=headers)
        audience = api.client.get("/v1/audiences/CustomerAudienceUpload/loyalty").json()["audience"]

    assert done.status_code == 200, done.text
    assert (done.json()["entered"], done.json()["rejected"], done.json()["encoding"]) == (
        2,
        0,
        "utf-8",
    )  # a blank line is no row
    assert (audience["name"], audience["origin"]) == ("Loyal", "CustomerAudienceUpload")
    assert {record.key for record in read_topic(installation.settings, installation.topics.profile_events)} == {
        b"p-1",
        b"p-2",
    }
    assert (unfit.status_code, no_days.status_code) == (400, 400)
    assert "the file: its header has no column profileId" in unfit.json()["errorDetails"]


def test_m6_an_upload_names_members_by_identity_as_a_file_of_the_command_does(job: WholeJob, tmp_path: Path) -> None:
    installation, csv = job.installation, b"namespace,id\nECID,1\nEmail,1\n"
    path, headers, params = "/v1/audiences/import", {"content-type": "text/csv"}, {"id": "loyalty"}
    with api_of(installation, tmp_path) as api, job.worker():
        head = {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/test",
            "type": "profile.patched",
            "time": "2026-01-11T08:37:33Z",
        }
        with Writer(installation.settings) as writer:
            event = orjson.dumps(head | {"data": {"identityMap": {"ECID": [{"id": "1"}]}}})
            writer.write(installation.topics.profile_events, b"p-1", event, name="an event")
        done = api.client.post(path, params=params, content=csv, headers=headers)
    installation.change(identity_index=False)
    with api_of(installation, tmp_path) as api:
        off = api.client.post(path, params=params, content=csv, headers=headers)

    assert done.status_code == 200, done.text
    assert (done.json()["entered"], done.json()["rejected"]) == (1, 1)
    (rejected,) = done.json()["rejectedRows"]
    explanation = "no profile has the identity 1 of the namespace Email"
    assert rejected == {"line": "3", "reason": "no_profile", "explanation": explanation, "row": "Email,1"}
    assert (done.json()["known"], done.json()["rejectedFor"], done.json()["ignoredColumns"]) == (
        1,
        {"no_profile": 1},
        [],
    )
    assert off.status_code == 400
    assert (
        "the file: 2 rows name a member by an identity, and PROFILE_EXPORTER_IDENTITY_INDEX=false"
        in off.json()["errorDetails"]
    )


def test_with_tls_and_a_file_of_tokens_a_token_is_wanted_and_never_written_anywhere(
    job: WholeJob, tmp_path: Path
) -> None:
    installation, token = job.installation, "a-token-that-nobody-may-see"
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"- {{name: ada, sha256: {sha256(token.encode()).hexdigest()}, role: write}}")
    trusted, key = certificate(tmp_path)
    installation.change(api_tokens_file=tokens, api_tls_certificate_file=trusted, api_tls_key_file=key)
    with api_of(installation, tmp_path, trusted=trusted) as api:
        without = api.client.get("/v1/flows")
        allowed = api.client.put("/v1/audiences/ups/new", json={}, headers={"Authorization": f"Bearer {token}"})
        said = api.said()

    assert (without.status_code, allowed.status_code) == (401, 200)
    audits = [
        orjson.loads(record.value or b"")
        for record in read_topic(installation.settings, installation.topics.audit_events)
    ]
    assert [(audit["who"], audit["via"], audit["action"]) for audit in audits] == [("ada", "api", "created")]
    assert token not in said


def flows_of(installation: Installation) -> dict[bytes, bytes]:
    return {
        key: value
        for key, value in read_compacted(installation.settings, installation.topics.flows).items()
        if not is_job_key(key)
    }


def test_a_restart_loses_nothing_a_command_between_is_seen_and_a_second_api_ends_the_first(
    job: WholeJob, tmp_path: Path
) -> None:
    installation = job.installation
    old = job.configuration.flows[0]
    with Writer(installation.settings) as writer:
        writer.write(
            installation.topics.flows,
            flow_key(old.id),
            encode_flow(StoredFlow(old, "etag-of-before")).value,
            name=old.id,
        )
    with api_of(installation, tmp_path) as api:
        flow = Tutorial(api.client).whole()
        before = Tutorial(api.client).one(f"/flows/{flow['id']}")
    with api_of(installation, tmp_path) as first:
        tutorial = Tutorial(first.client)
        assert tutorial.one(f"/flows/{flow['id']}") == before
        assert (before["etag"], before["createdBy"], before["updatedBy"]) == (flow["etag"], "anonymous", "anonymous")
        job.apply()
        wait_until(lambda: len(tutorial.get("/flows", limit=100)["items"]) > 1, "flows of the command", SECONDS)
        authors = {item["createdBy"] for item in tutorial.get("/flows", limit=100)["items"] if item["id"] != flow["id"]}
        assert authors == {getuser(), "unknown"}  # of the flow of before, nobody said
        assert first.client.put("/v1/audiences/ups/new", json={"name": "New"}).status_code == 200

        with api_of(installation, tmp_path, "second") as second:
            exit_code = first.process.wait(SECONDS)

            assert exit_code == 3, first.said()
            assert "another control API was started" in first.said()
            assert second.client.get("/v1/audiences/ups/new").json()["audience"]["name"] == "New"
            assert second.client.put("/v1/audiences/ups/newer", json={}).status_code == 200
    audits = [
        orjson.loads(record.value or b"")
        for record in read_topic(installation.settings, installation.topics.audit_events)
    ]
    recorded = [
        (audit["id"], audit["etag"], audit["who"], audit["via"]) for audit in audits if audit["action"] == "recorded"
    ]
    assert recorded == [(old.id, "etag-of-before", "profile-exporter", "api")], (
        "three APIs were started, and nobody had changed it by then"
    )
    named = {(audit["id"], audit["etag"]) for audit in audits if audit["kind"] == "flows"}
    assert all((key.decode(), orjson.loads(value)["etag"]) in named for key, value in flows_of(installation).items())
