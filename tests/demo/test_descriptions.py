"""Causes in words: every kind that a record can have, with the names of the audiences."""

import pytest

from processor.demo.descriptions import CauseDescriptions
from processor.sandbox.flows import fill_shop_template, parse_shop_configuration


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("segment:ups/vip-customers:realized", "the profile entered the audience VIP customers (ups)"),
        ("segment:ups/vip-customers:exited", "the profile left the audience VIP customers (ups)"),
        (
            "segment:AdPartner/summer-lookalikes:realized",
            "the profile entered the audience summer-lookalikes (AdPartner)",
        ),
        ("attribute:personalEmail.address", "its e-mail address was written"),
        ("attribute:_acme.shoe.size", "its attribute _acme.shoe.size was written"),
        ("identity:ECID", "its identities of the kind ECID changed"),
        ("backfill:ups/vip-customers", "backfill:ups/vip-customers"),
    ],
)
def test_a_cause_in_words(cause: str, words: str) -> None:
    assert (
        CauseDescriptions(parse_shop_configuration(fill_shop_template("http://127.0.0.1:1")).audiences).describe(cause)
        == words
    )


def test_several_causes_are_one_sentence() -> None:
    assert (
        CauseDescriptions(()).describe_all(("attribute:_shop.cart", "identity:ECID"))
        == "its cart was written; its identities of the kind ECID changed"
    )
