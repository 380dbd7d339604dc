"""The port `delivery.ports.Destinations`: where flows deliver, by the catalog."""

from processor.catalog.follower import CatalogFollower
from schemas.destination import Destination


class CatalogDestinations:
    """`delivery.ports.Destinations` by the catalog as it stands now."""

    def __init__(self, catalog: CatalogFollower) -> None:
        self._catalog = catalog

    def destination(self, flow_id: str) -> Destination | None:
        """Return a flow's destination, also of a disabled flow; None where there is no such flow."""
        flow = self._catalog.catalog.flow(flow_id)
        return flow.destination if flow is not None else None
