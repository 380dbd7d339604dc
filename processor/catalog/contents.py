"""What the two topics say, record by record, and the catalog compiled from it."""

from processor.core.catalog import Catalog
from processor.kafka.catalog_records import StoredFlow, read_audience, read_flow
from schemas.audience import Audience


class Contents:
    """The last flow and audience of each key. The catalog is made anew only when something changed."""

    def __init__(self) -> None:
        self._flows: dict[bytes, StoredFlow] = {}
        self._audiences: dict[bytes, Audience] = {}
        self._catalog: Catalog | None = None

    def put_flow(self, key: bytes, value: bytes | None) -> None:
        """A record of `flows`; raises BadCatalogRecord, and then keeps what it had."""
        if value is None:
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
            etags = {flow.id: etag for flow, etag in stored}
            self._catalog = Catalog.of([flow for flow, _ in stored], self._audiences.values(), etags)
        return self._catalog
