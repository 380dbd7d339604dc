"""Paths of attributes: what is one (M3), and the right path for what is written in another notation (M5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.files.configuration import ConfigurationError, parse_configuration
from schemas.flow import Flow
from schemas.model import STORED, Remarks
from schemas.paths import fault_of_path, read_path, split_path

DESTINATION = {"type": "kinesis", "stream": "s", "region": "us-east-2"}
FILE = """
audiences: [{{namespace: {namespace}, id: a}}]
flows:
  - id: f
    destination: {{type: kinesis, stream: s, region: r}}
    audiences: [{{namespace: {namespace}, id: a}}]
    attributes: [{attribute}]
"""
MEMBER = st.from_regex(r"[A-Za-z_$@#~{}()<>|:;,'\"!?&^%=+ë-][A-Za-z0-9_$@#~-]{0,8}", fullmatch=True).filter(
    lambda text: not text.startswith("xdm:") and text != "$"
)


@pytest.mark.parametrize("path", ["xdm:person.xdm:name", "xdm:xdm:person", "person.xdm:xdm:xdm:name"])
def test_m5_a_path_that_is_read_twice_is_the_same_path(path: str) -> None:
    """A flow is read from a file, and again from its topic."""
    assert "xdm:" not in read_path(path)
    assert read_path(read_path(path)) == read_path(path)
    of_file = Flow.model_validate({"id": "f", "destination": DESTINATION, "attributes": [path]})
    assert (
        Flow.model_validate(of_file.model_dump(by_alias=True, mode="python"), context=STORED).attributes
        == of_file.attributes
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "\ud800"},
        {"attributes": ["\ud800x"]},
        {"options": {"consentGate": "a\udfff"}},
        {"options": {"consentGate": ["a", "\ud800"]}},
        {"options": {"partitionKey": "attribute:\ud800"}},
    ],
)
def test_m4_half_of_a_surrogate_pair_is_a_fault_with_its_place(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        Flow.model_validate({"id": "f", "destination": DESTINATION, **changes})


@given(st.lists(MEMBER, min_size=1, max_size=4).filter(lambda members: members != ["$"]))
def test_m3_whatever_holds_no_notation_is_a_path_and_stays_as_it_is(members: list[str]) -> None:
    path = ".".join(members)

    assert read_path(path) == path
    assert split_path(path) == tuple(members)


OTHERWISE = [
    ("/person/name/firstName", "person.name.firstName"),
    ("#/person/name", "person.name"),
    ("person/name", "person.name"),
    ("person/name/", "person.name"),
    ("/a", "a"),
    ("xdm:person/xdm:name", "person.name"),
    ("/xdm:person/xdm:name", "person.name"),
    ("$.person", "person"),
    ("$.xdm:person.xdm:name", "person.name"),
    ("$['person']", "person"),
    ("""$["person"]['name'].first""", "person.name.first"),
    ("person[name]", "person.name"),
    ("person[ 'name' ]", "person.name"),
    ("person..name", "person.name"),
    (".person", "person"),
    ("person.", "person"),
    ("person.xdm:", "person"),
    (" person.name", "person.name"),
    ("xdm: person", "person"),
    ("person.xdm:name .first", "person.name.first"),
    ("person.name\t", "person.name"),
    ("person. name", "person.name"),
    ("\ufeffperson.name\u200b", "person.name"),
    ("\u00a0person", "person"),
    ("person.name.*", "person.name, the whole of it"),
    ("person.*.first", "person, the whole of it"),
    ("/person/*", "person, the whole of it"),
    ("person.na*", "person, the whole of it"),
    ("emails[0].address", "emails, the whole of it (an array leaves with the option allowArrays)"),
    ("emails[*].address", "emails, the whole of it (an array leaves with the option allowArrays)"),
    ("emails[]", "emails, the whole of it (an array leaves with the option allowArrays)"),
    ("$.a.emails[?(@.primary)].address", "a.emails, the whole of it (an array leaves with the option allowArrays)"),
    ("a.emails[-1]", "a.emails, the whole of it (an array leaves with the option allowArrays)"),
    ("a[0:2].b", "a, the whole of it (an array leaves with the option allowArrays)"),
    ("/emails/0/address", "emails.0.address, or emails where that is an array: nothing inside one can be addressed"),
    ("person['first.name']", "person, the whole of it"),
    ("/person/first~1name", "person, the whole of it"),
]


@pytest.mark.parametrize(("written", "right"), OTHERWISE)
def test_m5_a_path_in_another_notation_is_a_fault_that_shows_the_right_one(written: str, right: str) -> None:
    with pytest.raises(ValueError, match="is not a dotted path") as raised:
        read_path(written)

    assert str(raised.value).partition("; write ")[2] == right


@pytest.mark.parametrize("written", ["", " ", "/", "$", "$.*", "*", ".", "xdm:", "[0]", "$['a.b']"])
def test_m5_what_names_no_member_shows_how_a_path_looks(written: str) -> None:
    assert "as person.name.firstName" in str(fault_of_path(written))


@pytest.mark.parametrize("written", ["emails[0].address", "a[]", "a[*]", "$.a[?(@.b)]"])
def test_m5_what_lies_inside_an_array_is_said_to_be_out_of_reach(written: str) -> None:
    assert "nothing inside an array can be addressed" in str(fault_of_path(written))


@given(
    st.lists(st.sampled_from(["person", "name", "_acme", "a", "7"]), min_size=2, max_size=4),
    st.sampled_from(["/{}", "{}", "#/{}", "{}/"]),
)
def test_m5_the_right_path_of_members_with_slashes_is_a_path(members: list[str], form: str) -> None:
    """What is shown can be written: it is no fault itself, and names the same members."""
    fault = fault_of_path(form.format("/".join(members)))

    assert fault is not None
    shown = fault.partition("; write ")[2].partition(",")[0]
    assert fault_of_path(shown) is None
    assert split_path(shown) == tuple(members)


PREFIXED = [
    ("xdm:person.xdm:name", "person.name"),
    ("xdm:_acme.loyalty", "_acme.loyalty"),
    ("_acme.xdm:loyalty", "_acme.loyalty"),
]


@pytest.mark.parametrize(("written", "read"), PREFIXED)
def test_m5_the_prefix_of_any_segment_is_dropped_with_a_remark_wherever_the_path_stands(
    written: str, read: str
) -> None:
    remarks = Remarks()
    options = {"consentGate": written, "partitionKey": f"attribute:{written}"}

    flow = Flow.model_validate(
        {"id": "f", "destination": DESTINATION, "attributes": [written, "b"], "options": options}, context=remarks
    )

    assert flow.attributes == (read, "b")
    assert flow.options.partition_key == f"attribute:{read}"
    assert flow.options.consent_gate == read
    said = f"{written} is read as {read}: the prefix xdm: is dropped"
    assert sorted(remarks) == [f"attributes: {said}", f"options.consentGate: {said}", f"options.partitionKey: {said}"]


def test_m5_two_paths_that_only_the_prefix_tells_apart_are_mapped_twice() -> None:
    with pytest.raises(ConfigurationError, match="mapped twice: person"):
        parse_configuration(FILE.format(namespace="ups", attribute="person, xdm:person").encode(), "f.yaml")


@pytest.mark.parametrize("written", ["/person/name", "emails[0]", " a", "a.*", "$.a"])
@pytest.mark.parametrize("place", ["attributes", "consentGate", "partitionKey"])
def test_m5_a_flow_that_was_put_into_force_before_goes_on_and_is_told(written: str, place: str) -> None:
    """M2: a worker reads it as it stands; only new applications are refused."""
    options = {"consentGate": {"consentGate": written}, "partitionKey": {"partitionKey": f"attribute:{written}"}}.get(
        place, {}
    )
    attributes = [written] if place == "attributes" else []
    fields = {"id": "f", "destination": DESTINATION, "attributes": attributes, "options": options}

    flow = Flow.model_validate(fields, context=STORED)

    (fault,) = flow.path_faults
    assert fault.startswith(f"{place if place == 'attributes' else f'options.{place}'}: {written} is not a dotted path")
    with pytest.raises(ValueError, match="is not a dotted path"):
        Flow.model_validate(fields)


def test_m5_a_stored_flow_whose_paths_fall_together_maps_them_once() -> None:
    flow = Flow.model_validate(
        {"id": "f", "destination": DESTINATION, "attributes": ["a", "xdm:a", "b"]}, context=STORED
    )

    assert flow.attributes == ("a", "b")
    assert flow.path_faults == []


@pytest.mark.parametrize(
    ("namespace", "known"),
    [
        ("UPS", "ups"),
        ("Ups", "ups"),
        ("customeraudienceupload", "CustomerAudienceUpload"),
        ("ups", None),
        ("Crm", None),
    ],
)
def test_m5_a_namespace_that_differs_from_a_known_one_in_case_only_is_a_warning(
    namespace: str, known: str | None
) -> None:
    said = parse_configuration(FILE.format(namespace=namespace, attribute="a").encode(), "f.yaml").warnings

    text = f"namespace {namespace} is not {known}: they differ in case only, and are two; write {known} if it is meant"
    assert said == (() if known is None else (f"flows[0].audiences: {text}", f"audiences[0]: {text}"))


def test_m5_a_number_as_a_segment_is_a_member_and_no_element_of_an_array() -> None:
    said = parse_configuration(FILE.format(namespace="ups", attribute="emails.0.address").encode(), "f.yaml").warnings

    assert said == (
        "flows[0].attributes: emails.0.address: 0 is read as a member's name: nothing inside an array can be addressed",
    )
