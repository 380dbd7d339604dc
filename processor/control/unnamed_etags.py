"""The topic `audit-events`, read for the etags that it names."""

from collections.abc import Callable, Collection

from processor.foundation.settings import Settings
from processor.kafka.errors import ReadDenied
from processor.kafka.reading import read_topic
from schemas.wire.audit_events import FlowEtag, decode_flow_etags


class UnnamedEtags:
    """A look-up of flows and etags that no audit event names, as `control.recording.Unnamed`.

    Each is looked up once, and no further than it must. Where the topic may not be read, `on_denied` is told why, once,
    and none is said to be unnamed: nothing is recorded then.
    """

    def __init__(self, settings: Settings, on_denied: Callable[[ReadDenied], None]) -> None:
        self._settings, self._on_denied = settings, on_denied
        self._looked_up: set[FlowEtag] = set()
        self._unnamed: set[FlowEtag] = set()
        self._is_denied = False

    def __call__(self, wanted: Collection[FlowEtag]) -> set[FlowEtag]:
        """Return those of `wanted` that no audit event named when it was first asked for them.

        Raises as `read_topic` does, but for ReadDenied.
        """
        new = set(wanted) - self._looked_up
        if new and not self._is_denied:
            try:
                self._unnamed |= self._read(new)
                self._looked_up |= new
            except ReadDenied as denied:
                self._is_denied = True
                self._on_denied(denied)
        return self._unnamed.intersection(wanted)

    def _read(self, missing: set[FlowEtag]) -> set[FlowEtag]:
        missing = set(missing)
        for event in read_topic(self._settings, self._settings.topics.audit_events):
            missing.difference_update(decode_flow_etags(event.key, event.value))
            if not missing:
                break
        return missing
