"""The API in this process, on a log in memory: everything but HTTP's own wire and Kafka is real."""

from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient

from processor.api.access import Access
from processor.api.app import build_app
from processor.api.calls import Services
from processor.api.limits import Limits
from processor.control.job_status import JobsProgress
from processor.control.plane import ControlPlane
from processor.foundation.secrets import Secrets
from schemas.destination import Destination
from tests.contracts.memory_control_log import MemoryControlLog, SharedRecords

KEY = Fernet.generate_key().decode()
LIMITS = Limits(64 * 1024)
NOW_MS = 1_768_174_653_000


class Api(TestClient):
    """A client, and what lies behind the API.

    `warned`: what destinations say against us; `jobs`: what workers say of jobs.
    """

    def __init__(self, secrets: Secrets, access: Access, limits: Limits = LIMITS) -> None:
        self.shared = SharedRecords()
        self.warned: list[str] = []
        self.access_warned: list[str] = []
        self.now_ms = NOW_MS
        self.jobs: JobsProgress | Exception = JobsProgress()
        etags, self.ids = count(1), count(1)
        log = MemoryControlLog(self.shared, is_api=True)
        plane = ControlPlane(log, lambda: self.now_ms, lambda: f"etag{next(etags)}")
        services = Services(plane, secrets, access, self._examine, lambda: f"id-{next(self.ids)}", jobs=self._jobs)
        self.log, self.plane, self.services = log, plane, services
        super().__init__(
            build_app(services, limits, ready=lambda: None), base_url="http://127.0.0.1", raise_server_exceptions=False
        )

    def _examine(self, _: Sequence[Destination], only_access: bool) -> list[str]:
        return self.warned if not only_access else self.access_warned

    def _jobs(self) -> JobsProgress:
        if isinstance(self.jobs, Exception):
            raise self.jobs
        return self.jobs


@pytest.fixture
def api() -> Iterator[Api]:
    with Api(Secrets([KEY]), Access([], 5)) as client:
        yield client
