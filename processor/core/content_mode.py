"""CloudEvents' content modes on Kafka (contract I10): what a record's headers say of its value.

    structured   the value is the whole event; content-type application/cloudevents…, or nothing that says otherwise
    binary       the attributes stand in headers (ce_id, ce_source, …); the value is the data, in JSON

Names of headers and media types are read in any case. A header that stands twice must say the same twice; of content
types the last one counts. Values are UTF-8 texts as they are: unlike HTTP's, Kafka's binding knows no percent-encoding.
"""

from typing import Any, Final

from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason
from schemas.kafka import Headers

_PREFIX: Final = "ce_"
_PREFIX_OF_HTTP: Final = "ce-"
_CONTENT_TYPE: Final = "content-type"
_REQUIRED: Final = ("specversion", "id", "source", "type")
_READ: Final = frozenset({*_REQUIRED, "subject", "time", "datacontenttype", "traceparent", "tracestate"})
_STRUCTURED: Final = "application/cloudevents"
_PLAINLY_STRUCTURED: Final = frozenset(
    {b"application/cloudevents+json", b"application/cloudevents+json; charset=UTF-8"}
)
"""As most producers write it: there is nothing to find out."""
_OWN_TYPES: Final = frozenset({"", "application/cloudevents", "application/cloudevents+json"})
_JSON_TYPES: Final = frozenset({"application/json", "text/json"})


class Head:
    """The headers of a record, as far as they say what its value is.

    `attributes` are those of `ce_` headers, by their names; `media_type` is in lower case, without parameters, "" for
    none.

    `is_misspelled`: headers have CloudEvents' names as HTTP spells them.
    """

    def __init__(self, attributes: dict[str, Any], media_type: str, is_misspelled: bool) -> None:
        self.attributes = attributes
        self.media_type = media_type
        self.is_misspelled = is_misspelled

    @property
    def has_attributes(self) -> bool:
        """Return whether one of the attributes that every event has is there."""
        return not self.attributes.keys().isdisjoint(_REQUIRED)

    @property
    def is_structured(self) -> bool:
        """Return whether the content type says that the value is a whole event."""
        return self.media_type.startswith(_STRUCTURED)

    @property
    def names_json(self) -> bool:
        """Return whether the content type is one of JSON, or there is none."""
        return is_json_type(self.media_type)

    def require_attributes(self) -> None:
        """Raise Unusable (`not_cloudevents`), naming the header that is missing or says something else than 1.0."""
        for name in _REQUIRED:
            if not self.attributes.get(name):
                raise _no_event(f"binary mode: the header {_PREFIX}{name} is missing or empty")
        if self.attributes["specversion"] != "1.0":
            raise _no_event(
                f"binary mode: the header ce_specversion is {self.attributes['specversion'][:16]!r} and not '1.0'"
            )

    def explained(self, unusable: Unusable) -> Unusable:
        """Explain a value that is no whole event, where the headers say what else it is; else return `unusable`."""
        if unusable.reason not in (
            DeadLetterReason.NOT_UTF8,
            DeadLetterReason.NOT_JSON,
            DeadLetterReason.NOT_CLOUDEVENTS,
        ):
            return unusable
        if not self.names_json and self.media_type not in _OWN_TYPES:
            return other_content_type(self.media_type, unusable.explanation)
        if unusable.reason is DeadLetterReason.NOT_CLOUDEVENTS and self.is_misspelled:
            return _no_event(
                f"{unusable.explanation}; headers begin with {_PREFIX_OF_HTTP}, as HTTP has them: on Kafka they begin"
                f" with {_PREFIX}"
            )
        return unusable


def read_head(headers: Headers) -> Head | None:
    """Read what the headers say of the value; None where they say nothing, as nearly always.

    Raises Unusable where they contradict each other or are not UTF-8.
    """
    for name, value in headers:
        first = name[:1]
        if (first == "c" or first == "C") and not (name == _CONTENT_TYPE and value in _PLAINLY_STRUCTURED):  # noqa: PLR1714  # fast compiled
            return _head(headers)
    return None


def _head(headers: Headers) -> Head | None:
    attributes: dict[str, Any] = {}
    media_type, is_misspelled, says_something = "", False, False
    for spelled, value in headers:
        name = spelled.lower()
        if name == _CONTENT_TYPE:
            media_type, says_something = media_type_of((value or b"").decode(errors="replace")), True
        elif name.startswith(_PREFIX):
            says_something = True
            if value is not None:
                _put(attributes, name[len(_PREFIX) :], value)
        elif name.startswith(_PREFIX_OF_HTTP):
            is_misspelled = says_something = True
    return (
        Head(attributes, media_type or media_type_of(attributes.pop("datacontenttype", "")), is_misspelled)
        if says_something
        else None
    )


def _put(attributes: dict[str, Any], name: str, value: bytes) -> None:
    if name not in _READ:
        return
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise Unusable(
            DeadLetterReason.NOT_UTF8, f"the header {_PREFIX}{name}: {error.reason} at byte {error.start}"
        ) from None
    if attributes.setdefault(name, text) != text:
        raise _no_event(f"the header {_PREFIX}{name} stands twice and says {attributes[name][:64]!r} and {text[:64]!r}")


def media_type_of(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json_type(media_type: str) -> bool:
    """Return whether a media type is one of JSON's; one that is not said is."""
    return not media_type or media_type in _JSON_TYPES or media_type.endswith("+json")


def other_content_type(media_type: str, explanation: str) -> Unusable:
    """The data are said to be something else than JSON."""
    return _no_event(
        f"the content type is {media_type[:64]!r}: only JSON is read (application/json, …+json); {explanation}"
    )


def _no_event(explanation: str) -> Unusable:
    return Unusable(DeadLetterReason.NOT_CLOUDEVENTS, explanation)
