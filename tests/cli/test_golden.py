"""The golden histories: small stories whose records were derived by hand from the contract, rule by rule.

tests/golden/NAME/   flows.yaml          the flows, and the story as a comment
                     events.jsonl        the log, in one of the forms of 4b
                     expected.jsonl      what replay writes
                     dead-letters.jsonl  what it puts aside, explanations apart; no file: nothing
                     sent.jsonl          what leaves for Kinesis, where the story is about that (D2, G5)
                     settings.env        settings other than the defaults
"""

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from processor.cli import commands
from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.files.configuration import read_configuration
from processor.files.event_log import read_events
from schemas.dead_letter import DeadLetter

FOLDER = Path(__file__).parents[1] / "golden"
RULES = {
    "a-file-that-is-one-array": "I10, I4, 4b",
    "an-end-goes-with-the-exit": "I7, F5",
    "attributes": "A1, A6, A7, B1, B2, B3, M3",
    "bad-events": "I4, 4b",
    "binary-mode": "I10, I1, I3, I4, I5",
    "both-spellings": "I9, A6, A8",
    "byte-order-marks-in-kcat": "I10, I4, 4b",
    "consents": "F6",
    "data-base64": "I10, I1, I4, I7",
    "empty-identities": "I9, A5, D1",
    "ends-by-other-ways": "I7, F5, I3",
    "envelope-and-partition-keys": "D2, D3, G5",
    "exit-after-30-days": "C2, C3, A3, I6",
    "expiry": "F5, I1, C4",
    "gates": "A9, A13, A3, A4, C2",
    "gates-of-several-paths": "F6, A9",
    "identities": "A5, D1",
    "kafka-records": "4b, D3, I1, I3, I4, I5, I8",
    "kcat": "4b, I1, I4",
    "keys-of-other-serializers": "I11, I4",
    "life-of-a-profile": "A2, A3, A6, A7, A9, B1, B2, F3, I3, I5, I8, 4b",
    "merge": "F4, I1, I4, I8",
    "names-and-timestamps": "C4, C5, C6, C8, F3, M1, M2",
    "one-key-on-two-partitions": "I12, D3, F3, F5, I5",
    "opt-outs": "F6",
    "paths-and-namespaces": "M5, A13, C7",
    "removals": "I3, I7, A6, A8, A9, B2",
    "scopes": "C1, C2, C3, M1, I7",
    "source-and-id": "I5",
    "spellings-of-status": "I9, I4, I3",
    "streams-of-other-accounts": "G10, 4b",
    "times-of-rfc3339": "I3, I4, C8, F5",
    "triggers": "A10, A12, A13, A9",
    "whole-numbers": "I13, I4",
    "worked-example": "A2, B1, C2, F3",
    "wrappers-in-kcat": "I10, I4",
    "xdm-memberships": "I9, I3, A2",
    "zero-times": "I9, I3",
}


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def comparable(records: list[dict[str, Any]]) -> list[str]:
    """As text, since to Python 1 equals true; the order of keys, and of the flows of one event, is not part of the
    contract (4b).
    """
    groups = groupby(records, key=lambda record: record["id"].removesuffix(record["flow"]))
    ordered = [record for _, group in groups for record in sorted(group, key=lambda record: str(record["flow"]))]
    return [orjson.dumps(record, option=orjson.OPT_SORT_KEYS).decode() for record in ordered]


@pytest.fixture
def golden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = FOLDER / str(request.param)
    settings = folder / "settings.env"
    for line in settings.read_text().splitlines() if settings.exists() else []:
        monkeypatch.setenv(*line.split("=", 1))
    return folder


@pytest.mark.parametrize("golden", RULES, indirect=True)
def test_a_golden_history_gives_the_records_and_dead_letters_that_the_contract_asks_for(
    golden: Path, tmp_path: Path
) -> None:
    out, letters = tmp_path / "out", tmp_path / "letters"
    arguments = [
        "replay",
        str(golden / "events.jsonl"),
        "--flows",
        str(golden / "flows.yaml"),
        "--output",
        str(out),
        "--dead-letters",
        str(letters),
    ]

    result = CliRunner().invoke(commands, arguments, catch_exceptions=False)

    assert result.exit_code == 0
    assert comparable(lines(out)) == comparable(lines(golden / "expected.jsonl"))
    put_aside = lines(letters)
    assert all(letter.pop("explanation") for letter in put_aside)
    assert put_aside == lines(golden / "dead-letters.jsonl")


@pytest.mark.parametrize("golden", ["envelope-and-partition-keys"], indirect=True)
def test_d2_g5_a_golden_history_leaves_in_its_envelope_under_its_partition_key(golden: Path) -> None:
    configuration = read_configuration(golden / "flows.yaml")
    run = Replay(Catalog.of(configuration.flows, configuration.audiences))

    sent = []
    for event in read_events((golden / "events.jsonl").read_bytes().splitlines()):
        assert not isinstance(event, DeadLetter)
        sent += [
            {"id": record.id, "partitionKey": record.partition_key, "value": orjson.loads(record.value)}
            for record in run.feed(event).records
        ]

    assert sent == lines(golden / "sent.jsonl")


def test_every_golden_history_runs_and_names_rules_that_exist() -> None:
    contract = (FOLDER.parents[1] / "docs" / "contract.md").read_text()
    rules = {rule for named in RULES.values() for rule in re.findall(r"[A-Z][0-9]+", named)}

    assert {folder.name for folder in FOLDER.iterdir()} == set(RULES)
    assert [rule for rule in rules if f"| {rule} |" not in contract] == []
