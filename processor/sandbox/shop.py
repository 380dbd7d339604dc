"""A made-up shop: its profile events, rolled with a seed. The same arguments give the same events, on any machine.

    shop_events(seed=7) ─► 3,000 ShopEvents about some 400 customers, of every Kind

The shop rolls a kind of event, then a customer, of whom `event_generators` makes one; `customers` is what it knows.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from random import Random
from typing import Any, Final, NamedTuple

import orjson

from processor.sandbox import event_generators
from processor.sandbox.bad_events import make_bad_event
from processor.sandbox.customers import AUDIENCES, Customer, new_customer
from schemas.dead_letter import DeadLetterReason
from schemas.event import EventType
from schemas.times import format_time

EVENTS: Final = 3000
CUSTOMERS: Final = 400
SEED: Final = 7
OPENS_AT: Final = 1_768_120_653  # 2026-01-11T08:37:33Z
MOST_SECONDS_BETWEEN: Final = 4

_FEW: Final = 20
_NEW_CUSTOMER_ODDS: Final = 0.4
_HOUR_SECONDS: Final = 3600


class Kind(StrEnum):
    """The kind of a shop event, in words for the tour."""

    NEW_CUSTOMER = "new customer"
    QUALIFIED = "entered an audience"
    EXITED = "left an audience"
    NEW_IDENTITY = "new identity"
    CHANGED = "changed attribute"
    SAME_VALUE = "same value again"
    UNMAPPED = "change that nobody mapped"
    REPLACED = "whole profile replaced"
    REMOVED = "removed with null"
    MERGED = "merged into another profile"
    DELETED = "deleted"
    TOMBSTONE = "deleted by a tombstone"
    REPEATED = "same event once more"
    BAD = "unusable"


class ShopEvent(NamedTuple):
    """A record for the topic of profile events: `timestamp` in milliseconds, `reason` why it cannot be used, if so."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    kind: Kind
    reason: DeadLetterReason | None = None


_ODDS: Final[Mapping[Kind, int]] = {
    Kind.QUALIFIED: 20,
    Kind.EXITED: 10,
    Kind.NEW_IDENTITY: 8,
    Kind.CHANGED: 20,
    Kind.SAME_VALUE: 6,
    Kind.UNMAPPED: 20,
    Kind.REPLACED: 4,
    Kind.REMOVED: 4,
    Kind.MERGED: 1,
    Kind.DELETED: 1,
    Kind.TOMBSTONE: 1,
    Kind.REPEATED: 3,
    Kind.BAD: 2,
}
_GENERATORS: Final[Mapping[Kind, tuple[EventType, event_generators.EventGenerator]]] = {
    Kind.NEW_CUSTOMER: (EventType.PATCHED, event_generators.introduce_customer),
    Kind.QUALIFIED: (EventType.PATCHED, event_generators.enter_audience),
    Kind.EXITED: (EventType.PATCHED, event_generators.leave_audience),
    Kind.NEW_IDENTITY: (EventType.PATCHED, event_generators.add_device),
    Kind.CHANGED: (EventType.PATCHED, event_generators.change_attribute),
    Kind.SAME_VALUE: (EventType.PATCHED, event_generators.write_known_value),
    Kind.UNMAPPED: (EventType.PATCHED, event_generators.visit_shop),
    Kind.REPLACED: (EventType.REPLACED, event_generators.replace_profile),
    Kind.REMOVED: (EventType.PATCHED, event_generators.remove_value),
}
_ENDS: Final = (Kind.MERGED, Kind.DELETED, Kind.TOMBSTONE)


def shop_events(
    count: int = EVENTS, *, customers: int = CUSTOMERS, seed: int = SEED, opens_at: int = OPENS_AT
) -> Iterator[ShopEvent]:
    """Yield `count` events, in the order of their time; the shop opens at `opens_at`, seconds since 1970 in UTC."""
    shop = _Shop(customers, Random(seed), opens_at)
    for _ in range(count):
        yield shop.next_event()


class _Shop:
    """The state of the shop while it rolls events."""

    def __init__(self, most_customers: int, dice: Random, opens_at: int) -> None:
        self._dice = dice
        self._seconds = opens_at
        self._most_customers = most_customers
        self._seen = self._written = self._bad_written = 0
        self._customers: list[Customer] = []
        self._survivor: Customer | None = None

    def next_event(self) -> ShopEvent:
        self._seconds += self._dice.randint(1, MOST_SECONDS_BETWEEN)
        self._written += 1
        kind, customer = self._roll()
        if kind is Kind.BAD:
            return self._bad_event(customer)
        if kind is Kind.REPEATED:
            return self._record(customer, kind, customer.last_event)
        if kind in _ENDS:
            return self._end(customer, kind)
        event_type, generate = _GENERATORS[kind]
        customer.last_event = orjson.dumps(
            self._event(customer, event_type, generate(customer, self._dice, format_time(self._seconds)))
        )
        return self._record(customer, kind, customer.last_event)

    def _roll(self) -> tuple[Kind, Customer]:
        """Return the kind of the next event and its customer; only what is possible."""
        if self._survivor is not None:
            survivor, self._survivor = self._survivor, None
            return Kind.NEW_IDENTITY, survivor
        few = len(self._customers) < _FEW
        if few or (self._seen < self._most_customers and self._dice.random() < _NEW_CUSTOMER_ODDS):
            return Kind.NEW_CUSTOMER, self._welcome()
        (kind,) = self._dice.choices(list(_ODDS), list(_ODDS.values()))
        customer = self._dice.choice(self._customers)
        if kind is Kind.EXITED and not customer.audiences:
            return Kind.QUALIFIED, customer
        if kind is Kind.QUALIFIED and len(customer.audiences) == len(AUDIENCES):
            return Kind.EXITED, customer
        return kind, customer

    def _welcome(self) -> Customer:
        self._seen += 1
        customer = new_customer(self._seen, self._dice)
        self._customers.append(customer)
        return customer

    def _end(self, customer: Customer, kind: Kind) -> ShopEvent:
        self._customers.remove(customer)
        if kind is Kind.TOMBSTONE:
            return self._record(customer, kind, None)
        if kind is Kind.DELETED:
            return self._record(customer, kind, orjson.dumps(self._event(customer, EventType.DELETED, {})))
        self._survivor = self._dice.choice(self._customers)
        self._survivor.devices.extend(customer.devices)
        return self._record(
            customer, kind, orjson.dumps(self._event(customer, EventType.MERGED, {"into": self._survivor.key}))
        )

    def _bad_event(self, customer: Customer) -> ShopEvent:
        good = self._event(customer, EventType.PATCHED, {"homeAddress": {"city": customer.city}})
        key, value, reason = make_bad_event(self._bad_written, customer.key, good, self._dice)
        self._bad_written += 1
        return ShopEvent(key, value, self._seconds * 1000, Kind.BAD, reason)

    def _event(self, customer: Customer, event_type: EventType, data: dict[str, Any]) -> dict[str, Any]:
        event_id = f"evt-{self._written:06}"
        head = {"specversion": "1.0", "id": event_id, "source": "/shop", "type": event_type, "subject": customer.key}
        return {**head, "time": self._time_text(), "data": data}

    def _time_text(self) -> str:
        """Return the time of now, in one of the forms that the contract allows (I3)."""
        return self._dice.choice(
            (
                format_time(self._seconds),
                format_time(self._seconds).replace("Z", f".{self._dice.randrange(1000):03}Z"),
                format_time(self._seconds + _HOUR_SECONDS).replace("Z", "+01:00"),
            )
        )

    def _record(self, customer: Customer, kind: Kind, value: bytes | None) -> ShopEvent:
        return ShopEvent(customer.key.encode(), value, self._seconds * 1000, kind)
