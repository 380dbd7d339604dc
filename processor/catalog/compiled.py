"""What the two topics say, record by record, and the catalog compiled from it."""

from processor.core.catalog import Catalog
from schemas.audience import Audience
from schemas.job import Job
from schemas.wire.catalog import StoredFlow, is_job_key, read_audience, read_flow, read_job


class Contents:
    """The last flow, job and audience of each key. The catalog is made anew only when something changed."""

    def __init__(self) -> None:
        self._flows: dict[bytes, StoredFlow] = {}
        self._jobs: dict[bytes, Job] = {}
        self._audiences: dict[bytes, Audience] = {}
        self._catalog: Catalog | None = None

    def put_flow(self, key: bytes, value: bytes | None) -> None:
        """A record of `flows`; raises BadCatalogRecord, and then keeps what it had."""
        if is_job_key(key):
            if value is None:
                self._jobs.pop(key, None)
            else:
                self._jobs[key] = read_job(key, value)
        elif value is None:
            self._flows.pop(key, None)
        else:
            self._flows[key] = read_flow(key, value)
        self._catalog = None

    def put_audience(self, key: bytes, value: bytes | None) -> None:
        """A record of `audiences`; the same."""
        if value is None:
            self._audiences.pop(key, None)
        else:
            self._audiences[key] = read_audience(key, value)
        self._catalog = None

    @property
    def catalog(self) -> Catalog:
        """As everything put so far says; flows in the order of their ids, so that every worker has the same."""
        if self._catalog is None:
            stored = [self._flows[key] for key in sorted(self._flows)]
            in_force = [each.flow for each in stored if each.deleted_at is None]
            leaving = [each.flow for each in stored if each.deleted_at is not None]
            etags = {each.flow.id: each.etag for each in stored}
            jobs = sorted(self._jobs.values(), key=lambda job: job.order)
            self._catalog = Catalog.of(in_force, self._audiences.values(), etags, jobs, leaving)
        return self._catalog
