"""The tour's file of audiences and flows is one that `profile-exporter apply` takes."""

from processor.sandbox.flows import REGION, fill_shop_template, parse_shop_configuration, worker_environment
from schemas.destination import KeyCredentials

URL = "http://127.0.0.1:4567"


def test_the_file_has_no_faults_and_no_warnings() -> None:
    said = parse_shop_configuration(fill_shop_template(URL))

    assert said.warnings == ()
    assert (len(said.flows), len(said.audiences)) == (4, 6)


def test_every_flow_has_a_stream_of_its_own_at_the_endpoint_that_was_named() -> None:
    destinations = [flow.destination for flow in parse_shop_configuration(fill_shop_template(URL, "-run-1")).flows]

    assert {(destination.endpoint_url, destination.region) for destination in destinations} == {(URL, REGION)}
    assert len({destination.stream for destination in destinations}) == len(destinations)
    assert all(destination.stream.endswith("-run-1") for destination in destinations)


def test_flows_differ_in_what_they_show() -> None:
    flows = parse_shop_configuration(fill_shop_template(URL)).flows

    assert [flow.enabled for flow in flows].count(False) == 1
    assert len({flow.options.model_dump_json() for flow in flows}) == len(flows)


def test_one_mapped_audience_is_described_by_nobody_and_one_described_is_mapped_by_none() -> None:
    said = parse_shop_configuration(fill_shop_template(URL))
    mapped = {mapping.key for flow in said.flows for mapping in flow.audiences}
    described = {audience.key for audience in said.audiences}

    assert mapped - described == {("AdPartner", "summer-lookalikes")}
    assert described - mapped == {("ups", "frequent-buyers"), ("ups", "store-visitors")}


def test_every_secret_that_a_flow_names_is_in_the_worker_s_environment() -> None:
    credentials = [flow.destination.credentials for flow in parse_shop_configuration(fill_shop_template(URL)).flows]

    references = [one.secret_key for one in credentials if isinstance(one, KeyCredentials)]
    assert references
    assert all(reference.strip("${}") in worker_environment({}) for reference in references)


def test_nothing_of_anybody_s_account_reaches_the_worker() -> None:
    environment = worker_environment(
        {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "mine", "AWS_ACCESS_KEY_ID": "mine", "LANG": "C"}
    )

    assert "mine" not in environment.values()
    assert environment["LANG"] == "C"
