"""Generators of profile events: each changes what the shop knows of a customer and returns the `data` of the event.

A generator takes the customer, the dice and the time (form of C8); its caller sees to it that the event is possible.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final

from processor.sandbox.customers import AUDIENCES, LAST_NAMES, TIERS, Customer, fill_cart, new_device
from schemas.audience import AudienceKey
from schemas.times import plus_days

Data = dict[str, Any]
EventGenerator = Callable[[Customer, Random, str], Data]

_MEMBER_FOR_DAYS: Final = 60
_MOST_FIRST_AUDIENCES: Final = 3


def introduce_customer(customer: Customer, dice: Random, now: str) -> Data:
    """Introduce a new customer, who entered some audiences long ago, and may have left one long ago."""
    chosen = dice.sample(AUDIENCES, dice.randint(1, _MOST_FIRST_AUDIENCES + 1))
    left, entered = chosen[:1] if len(chosen) > 1 else [], chosen[1:] or chosen
    customer.audiences.update(entered)
    entries = [(audience, "realized", plus_days(now, -dice.randint(0, _MEMBER_FOR_DAYS))) for audience in entered]
    gone = [(audience, "exited", plus_days(now, -dice.randint(1, _MEMBER_FOR_DAYS))) for audience in left]
    return customer.document() | _memberships(entries + gone)


def enter_audience(customer: Customer, dice: Random, now: str) -> Data:
    """Have the customer enter an audience they are not in."""
    audience = dice.choice([audience for audience in AUDIENCES if audience not in customer.audiences])
    customer.audiences.add(audience)
    return _memberships([(audience, "realized", now)])


def leave_audience(customer: Customer, dice: Random, now: str) -> Data:
    """Have the customer leave an audience they are in."""
    return _memberships([(_forget_one(customer, dice), "exited", now)])


def add_device(customer: Customer, dice: Random, _now: str) -> Data:
    """Recognise the customer on another device."""
    customer.devices.append(new_device(dice))
    return {"identityMap": {"ECID": customer.identities()["ECID"]}}


def change_attribute(customer: Customer, dice: Random, _now: str) -> Data:
    """Have the customer buy something, fill their cart, or take another name."""
    chance = dice.random()
    if chance < 0.4:
        customer.points += dice.randrange(10, 400)
        customer.tier = TIERS[min(customer.points // 500, len(TIERS) - 1)]
        return {"_shop": {"loyalty": customer.loyalty()}}
    if chance < 0.8:
        fill_cart(customer, dice)
        return {"_shop": {"cart": customer.cart_content()}}
    customer.last_name = dice.choice(LAST_NAMES)
    return {"person": {"name": {"lastName": customer.last_name}}, "personalEmail": {"address": customer.email}}


def write_known_value(customer: Customer, dice: Random, now: str) -> Data:
    """Write what is known already: an address, the identities, or that the customer is still in an audience."""
    choices: list[Data] = [{"personalEmail": {"address": customer.email}}, {"identityMap": customer.identities()}]
    if customer.audiences:
        choices.append(_memberships([(min(customer.audiences), "existing", now)]))
    return dice.choice(choices)


def visit_shop(customer: Customer, dice: Random, _now: str) -> Data:
    """Have the customer look around the shop, which writes nothing that a flow maps."""
    customer.visits += 1
    return {"_shop": {"visits": customer.visits, "lastPage": f"/{dice.choice(('sale', 'new', 'stores', 'help'))}"}}


def replace_profile(customer: Customer, dice: Random, now: str) -> Data:
    """Write the whole profile, sometimes without an audience that the customer was in."""
    if customer.audiences and dice.random() < 0.3:
        _forget_one(customer, dice)
    return customer.document() | _memberships([(audience, "realized", now) for audience in sorted(customer.audiences)])


def remove_value(customer: Customer, dice: Random, _now: str) -> Data:
    """Remove a value of the profile: the cart, the devices, or a membership."""
    choices: list[Callable[[], Data]] = [lambda: _without_cart(customer)]
    if customer.devices:
        choices.append(lambda: _without_devices(customer))
    if customer.audiences:
        choices.append(lambda: _without(_forget_one(customer, dice)))
    return dice.choice(choices)()


def _without_cart(customer: Customer) -> Data:
    customer.cart.clear()
    return {"_shop": {"cart": None}}


def _without_devices(customer: Customer) -> Data:
    customer.devices.clear()
    return {"identityMap": {"ECID": None}}


def _without(audience: AudienceKey) -> Data:
    namespace, audience_id = audience
    return {"segmentMembership": {namespace: {audience_id: None}}}


def _forget_one(customer: Customer, dice: Random) -> AudienceKey:
    audience = dice.choice(sorted(customer.audiences))
    customer.audiences.discard(audience)
    return audience


def _memberships(entries: list[tuple[AudienceKey, str, str]]) -> Data:
    membership: Data = {}
    for (namespace, audience_id), status, time in entries:
        membership.setdefault(namespace, {})[audience_id] = {"status": status, "lastQualificationTime": time}
    return {"segmentMembership": membership}
