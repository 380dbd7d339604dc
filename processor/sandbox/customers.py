"""The customers of a made-up shop, and their profiles as the shop would write them."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from schemas.audience import AudienceKey

VIP: Final = ("ups", "vip-customers")
CART: Final = ("ups", "cart-left-behind")
FREQUENT: Final = ("ups", "frequent-buyers")
STORES: Final = ("ups", "store-visitors")
READERS: Final = ("ups", "newsletter-readers")
GALA: Final = ("CustomerAudienceUpload", "gala-guests")
LOOKALIKES: Final = ("AdPartner", "summer-lookalikes")
AUDIENCES: Final = (VIP, CART, FREQUENT, STORES, READERS, GALA, LOOKALIKES)
TIERS: Final = ("bronze", "silver", "gold", "platinum")

_FIRST_NAMES: Final = (
    "Ada", "Alan", "Barbara", "Claude", "Dorothy", "Edsger", "Emmy", "Frances", "Grace", "Hedy", "Ida", "Jean",
    "John", "Katherine", "Leslie", "Lise", "Margaret", "Mary", "Niklaus", "Radia", "Sofia", "Tim", "Zoë", "Øystein",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abel", "Baker", "Castillo", "Dubois", "Eriksen", "Fontana", "Garcia", "Hansen", "Ivanova", "Jansen", "Keller",
    "Lopez",
    "Moreau", "Nakamura", "Okafor", "Petrov", "Quinn", "Rossi", "Schäfer", "Tanaka", "Usman", "Virtanen", "Weber",
    "Young",
)  # fmt: skip
_CITIES: Final = (
    "Bergen",
    "Bologna",
    "Brno",
    "Delft",
    "Ghent",
    "Graz",
    "Leeds",
    "Lyon",
    "Porto",
    "Seville",
    "Uppsala",
    "Zürich",
)
_GOODS: Final = (
    "bicycle-bell",
    "espresso-cup",
    "fountain-pen",
    "globe",
    "kite",
    "lantern",
    "rain-coat",
    "record-player",
    "telescope",
    "umbrella",
)
_ASCII: Final = str.maketrans({"ë": "e", "Ø": "O", "ä": "a", "ü": "u"})


@dataclass(slots=True)
class Customer:
    """A customer, as the shop knows them now: `key` is the profile id, `audiences` are those they are in."""

    key: str
    number: int
    first_name: str
    last_name: str
    city: str
    tier: str = TIERS[0]
    points: int = 0
    visits: int = 0
    cart: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    audiences: set[AudienceKey] = field(default_factory=set)
    last_event: bytes = b""

    @property
    def email(self) -> str:
        """Return the customer's address, which belongs to nobody."""
        return f"{self.first_name}.{self.last_name}.{self.number}@example.com".translate(_ASCII).lower()

    def loyalty(self) -> dict[str, Any]:
        """Return the part of the profile about loyalty."""
        return {"tier": self.tier, "points": self.points}

    def cart_content(self) -> dict[str, Any]:
        """Return the part of the profile about the cart; its list is an array, which leaves with the map it is in."""
        return {"items": list(self.cart), "total": round(sum(9.5 + 2 * len(item) for item in self.cart), 2)}

    def identities(self) -> dict[str, Any]:
        """Return the identity map; the CRM's number never changes."""
        known = {"CRMID": [{"id": f"crm-{self.number:05}", "authenticatedState": "authenticated", "primary": True}]}
        seen = {"ECID": [{"id": device, "authenticatedState": "ambiguous"} for device in self.devices]}
        return known | seen if self.devices else known

    def document(self) -> dict[str, Any]:
        """Return the whole profile but its memberships."""
        return {
            "person": {"name": {"firstName": self.first_name, "lastName": self.last_name}},
            "personalEmail": {"address": self.email},
            "homeAddress": {"city": self.city},
            "_shop": {"loyalty": self.loyalty(), "cart": self.cart_content(), "visits": self.visits},
            "identityMap": self.identities(),
        }


def new_customer(number: int, dice: Random) -> Customer:
    """Return a customer that nobody has seen before."""
    customer = Customer(
        key=f"shop-{number:05}",
        number=number,
        first_name=dice.choice(_FIRST_NAMES),
        last_name=dice.choice(LAST_NAMES),
        city=dice.choice(_CITIES),
    )
    customer.devices.append(new_device(dice))
    return customer


def new_device(dice: Random) -> str:
    """Return a new ECID, the identity of a device."""
    return str(dice.randrange(10**15, 10**16))


def fill_cart(customer: Customer, dice: Random) -> None:
    """Put other goods into the cart."""
    customer.cart = dice.sample(_GOODS, dice.randint(1, 3))
