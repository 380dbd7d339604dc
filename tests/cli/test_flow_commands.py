"""`profile-exporter flows`, `audiences` and `secrets`: looked at and changed, by the code path of the control API."""

from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from click.testing import Result
from cryptography.fernet import Fernet

from processor.cli.control_plane import change, read_state
from processor.control.draft import Draft
from processor.foundation.secrets import Secrets, secrets_of
from schemas.destination import MASKED
from schemas.flow import AudienceMapping, Flow, FlowState
from tests.kit.installation import Installation

FILE = """
audiences:
  - {namespace: ups, id: gold, name: Gold}
flows:
  - id: vip
    name: VIPs
    state: disabled
    destination: {type: kinesis, stream: vips, region: us-east-2, endpointUrl: "http://127.0.0.1:1"}
    audiences: [{namespace: ups, id: gold}]
    attributes: [person.name]
"""


@pytest.fixture
def applied(prepared: Installation, tmp_path: Path) -> Installation:
    result = prepared.command("apply", "--no-check", str(written(tmp_path, FILE)))
    assert result.exit_code == 0, result.output
    return prepared


def written(folder: Path, text: str) -> Path:
    file = folder / "flows.yaml"
    file.write_text(text)
    return file


def lines(result: Result, exit_code: int = 0) -> list[str]:
    assert result.exit_code == exit_code, result.output
    return result.stdout.splitlines()


def test_flows_are_listed_and_shown_as_a_file_has_them(applied: Installation, tmp_path: Path) -> None:
    listed = lines(applied.command("flows", "list"))
    shown = applied.command("flows", "show", "vip").stdout
    (as_json,) = map(orjson.loads, lines(applied.command("flows", "list", "--json")))
    again = lines(
        applied.command(
            "apply", "--no-check", str(written(tmp_path, f"flows:\n- {shown.replace(chr(10), chr(10) + '  ')}"))
        )
    )

    assert listed[1].split() == ["flow", "name", "state", "destination", "audiences", "attributes", "etag"]
    assert listed[2].split()[:3] == ["vip", "VIPs", "disabled"]
    assert again[-1] == "unchanged: 1, keep: 1; in force"
    assert as_json["flow"]["id"] == "vip"
    assert set(as_json) == {"flow", "etag", "createdAt", "updatedAt"}
    assert orjson.loads(applied.command("flows", "show", "vip", "--json").stdout) == as_json


def test_a_flow_is_enabled_disabled_and_deleted(applied: Installation) -> None:
    assert lines(applied.command("flows", "disable", "vip")) == ["flow vip is disabled already"]
    assert "would not be authorized" in applied.command("flows", "enable", "vip", "--strict").stderr
    assert read_state(applied.settings).flows["vip"].item.state is FlowState.DISABLED
    enabled = applied.command("flows", "enable", "vip")
    assert lines(enabled)[0] == "flow vip is enabled"
    assert "warning: flow vip: stream vips" in enabled.stderr
    assert lines(applied.command("flows", "disable", "vip"))[0] == "flow vip is disabled"
    assert applied.command("flows", "delete", "vip", stdin="n\n").exit_code == 1
    assert orjson.loads(applied.command("flows", "disable", "vip", "--json").stdout)["flow"]["state"] == "disabled"
    assert lines(applied.command("flows", "delete", "vip", "--yes")) == ["remove flow vip"]
    assert "there is no flow vip" in applied.command("flows", "delete", "vip", "--yes").stderr


def test_a_diff_shows_what_apply_would_change_and_how(applied: Installation, tmp_path: Path) -> None:
    same = lines(applied.command("flows", "diff", str(written(tmp_path, FILE))))
    file = str(
        written(tmp_path, FILE.replace("VIPs", "Very important").replace("[person.name]", "[person.name, person.age]"))
    )
    different = lines(applied.command("flows", "diff", file), exit_code=1)
    told = [orjson.loads(line) for line in lines(applied.command("flows", "diff", file, "--json"), exit_code=1)]

    assert same == ["unchanged: 2; nothing differs"]
    assert different == ["change flow vip", "    -name: VIPs", "    +name: Very important", "    +- person.age"]
    assert [(each["action"], each["name"]) for each in told] == [("unchanged", "ups/gold"), ("change", "vip")]
    assert (told[1]["before"]["name"], told[1]["after"]["name"]) == ("VIPs", "Very important")


def test_of_a_file_only_the_flows_or_only_the_audiences_are_put_into_force(
    prepared: Installation, tmp_path: Path
) -> None:
    file = str(written(tmp_path, FILE))

    assert lines(prepared.command("flows", "apply", "--no-check", file))[0] == "create flow vip"
    assert not read_state(prepared.settings).audiences
    (told,) = map(orjson.loads, lines(prepared.command("audiences", "apply", "--json", file)))
    assert told == {"action": "create", "kind": "audience", "name": "ups/gold"}


def test_audiences_are_listed_shown_and_deleted(applied: Installation) -> None:
    assert lines(applied.command("audiences", "list"))[2].split() == ["ups/gold", "Gold", "default", "1"]
    (as_json,) = map(orjson.loads, lines(applied.command("audiences", "list", "--json")))
    assert as_json["audience"]["name"] == "Gold"
    assert "name: Gold" in applied.command("audiences", "show", "ups/gold").stdout
    assert "there is no audience ups/silver" in applied.command("audiences", "show", "ups/silver").stderr
    assert "NAMESPACE/ID" in applied.command("audiences", "show", "gold").stderr
    assert lines(applied.command("audiences", "delete", "ups/gold", "--yes")) == ["remove audience ups/gold"]
    assert not read_state(applied.settings).audiences


def deleted_with_exits(draft: Draft, like: Flow) -> None:
    """A flow that was deleted, and whose last exits still leave (F2)."""
    options = {"emit_exit_on_unmap": True}
    mapped = AudienceMapping.model_validate({"namespace": "ups", "id": "gold"})
    draft.put_flow(
        like.model_copy(
            update={"id": "leaving", "audiences": (mapped,), "options": like.options.model_copy(update=options)}
        )
    )
    draft.delete_flow("leaving")


def test_g7_stored_secrets_are_put_under_another_key_without_another_etag(applied: Installation) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    secret = f"secret-{uuid4().hex}"
    keys = {"type": "keys", "accessKeyId": "AK", "secretKey": Secrets([old]).encrypt(secret)}
    flow = Flow.model_validate(
        {"id": "keyed", "destination": {"type": "kinesis", "stream": "s", "region": "us-east-2", "credentials": keys}}
    )
    etag = change(applied.settings, lambda draft: draft.put_flow(flow)).etag
    change(applied.settings, lambda draft: deleted_with_exits(draft, flow))

    without_key = applied.command("secrets", "rotate")
    applied.change(secrets_key=new)
    with_the_wrong_one = applied.command("secrets", "rotate")
    applied.change(secrets_key=f"{new},{old}")
    rotated = applied.command("secrets", "rotate")
    applied.change(secrets_key=new)

    assert (without_key.exit_code, with_the_wrong_one.exit_code) == (1, 1)
    assert "nothing was changed" in with_the_wrong_one.stderr
    assert lines(rotated) == ["1 secrets are encrypted under the first key"]
    kept = read_state(applied.settings).flows["keyed"]
    leaving = read_state(applied.settings).leaving["leaving"]
    assert kept.etag == etag
    assert leaving.deleted_at is not None
    assert leaving.flow.destination == kept.item.destination
    assert secrets_of(applied.settings).decrypt(kept.item.destination.credentials.secret_key) == secret  # type: ignore[union-attr]
    shown = applied.command("flows", "show", "keyed").output
    assert MASKED in shown
    assert "encrypted:" not in shown
