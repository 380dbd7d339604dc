"""Tests of a redrive that is killed in the middle, or meets another one: it loses nothing (G8, D3).

What it repeats has the same record id.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from processor.dead_letters.redrive import RedriveFenced, RedrivenDeadLetter, Redriver
from processor.foundation.fault_points import VARIABLE
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from schemas.flow import Flow
from schemas.wire.dead_letters_redriven import RedriveMarker
from schemas.wire.flows import StoredFlow, encode_flow, flow_key
from tests.delivery.fakes import export_record
from tests.kit.installation import Installation
from tests.kit.letters import as_letter, undelivered_letter, write_letters
from tests.kit.worker import KILLED

LETTERS = 1_200
BATCHES = 3
SECONDS = 240.0


@pytest.fixture
def prepared(installation: Installation) -> Installation:
    installation.init()
    flow = Flow.model_validate(
        {"id": "vip", "destination": {"type": "kinesis", "stream": "vip", "region": "us-east-2"}}
    )
    with Writer(installation.settings) as writer:
        writer.write(
            installation.topics.flows, flow_key("vip"), encode_flow(StoredFlow(flow, "e" * 32)).value, name="flow"
        )
    return installation


def redrive(installation: Installation, fault: str) -> int:
    """Return the exit code of a redrive in a process of its own that has a fault."""
    command = [str(Path(sys.executable).with_name("profile-exporter")), "dead-letters", "redrive", "--all"]
    return subprocess.run(
        command, env=installation.env | {VARIABLE: fault}, capture_output=True, timeout=SECONDS, check=False
    ).returncode


@pytest.mark.parametrize(("guarantee", "at_most"), [("exactly_once", 1), ("at_least_once", 2)])
def test_a_redrive_killed_in_the_middle_goes_on_when_it_is_started_again(
    prepared: Installation, guarantee: str, at_most: int
) -> None:
    prepared.change(processing_guarantee=guarantee)
    write_letters(prepared.settings, [undelivered_letter(offset) for offset in range(LETTERS)])

    assert redrive(prepared, f"redriven_sent:{BATCHES - 1}") == KILLED
    for _ in range(2):
        assert prepared.command("dead-letters", "redrive", "--all").exit_code == 0

    values = [record.value for record in read_topic(prepared.settings, prepared.topics.exports)]
    wanted = [export_record(offset).value for offset in range(LETTERS)]
    assert list(dict.fromkeys(values)) == wanted
    assert max(Counter(values).values()) == at_most
    markers = {record.key for record in read_topic(prepared.settings, prepared.topics.redriven)}
    assert len(markers) == LETTERS


def test_of_two_redrives_at_once_the_later_one_goes_on_and_the_earlier_one_stops(prepared: Installation) -> None:
    sent = [
        RedrivenDeadLetter(
            as_letter(undelivered_letter(1)), RedriveMarker("2026-01-01T00:00:00Z", prepared.topics.exports), 0
        )
    ]

    with Redriver(prepared.settings) as earlier, Redriver(prepared.settings) as later:
        later.write(sent)
        with pytest.raises(RedriveFenced, match="another"):
            earlier.write(sent)

    assert len(list(read_topic(prepared.settings, prepared.topics.exports))) == 1
