"""The topic `dead-letters-redriven`, read: which dead letters were sent again."""

from processor.foundation.settings import Settings
from processor.kafka.reading import read_compacted
from schemas.wire.dead_letters_redriven import RedriveMarker, decode_redrive_marker


def read_redrive_markers(settings: Settings) -> dict[str, RedriveMarker]:
    """Read the redrive markers, by the dead letter's fingerprint; raises as `read_compacted` does."""
    values = read_compacted(settings, settings.topics.redriven)
    return dict(decode_redrive_marker(key, value) for key, value in values.items())
