"""Suite of the port DeadLetters (G2, G4, G9): in memory, and on the topic."""

from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import pytest

from processor.delivery.ports import DeadLetters, ExportDeadLetter
from processor.kafka.producers import SharedProducer
from processor.kafka.reading import read_topic
from processor.worker.adapters.dead_letters import TopicDeadLetters
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.wire.dead_letters import decode_dead_letter
from tests.delivery.fakes import FakeDeadLetters
from tests.kit.installation import Installation

PORT: Final = DeadLetters
FORMS: Final = ("memory", "kafka")


class Opened(NamedTuple):
    dead_letters: DeadLetters
    found: Callable[[], list[DeadLetter]]


@pytest.fixture(params=FORMS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "memory":
        memory = FakeDeadLetters()
        yield Opened(memory, lambda: [each.letter for each in memory.letters])
        return
    installation: Installation = request.getfixturevalue("installation")
    installation.init(2)
    settings, topic = installation.settings, installation.topics.dead_letters
    producer = SharedProducer(settings)
    await producer.start()
    yield Opened(
        TopicDeadLetters(producer, topic),
        lambda: [decode_dead_letter(record).was for record in read_topic(settings, topic)],
    )
    await producer.stop()


def a_letter(partition: int, offset: int, value: bytes | None = b"{}") -> ExportDeadLetter:
    record_id = b"profile-events-%d-%d-vip" % (partition, offset)
    headers = (("record-id", record_id), ("flow-id", b"vip"), ("partition-key", b"Ada"))
    letter = DeadLetter(
        "exports", partition, offset, b"Ada", value, DeadLetterReason.REJECTED, "said so", "2026-01-11T23:37:33Z"
    )
    return ExportDeadLetter(letter, headers, 3)


async def test_g4_letters_are_kept_whole_in_their_order_within_a_partition(opened: Opened) -> None:
    letters = [a_letter(0, 1), a_letter(1, 1), a_letter(0, 2, b"\xff\x00"), a_letter(1, 5)]

    await opened.dead_letters.put(letters[:3])
    await opened.dead_letters.put(letters[3:])

    found = opened.found()
    for partition in (0, 1):
        assert [each for each in found if each.partition == partition] == [
            each.letter for each in letters if each.letter.partition == partition
        ]


async def test_what_was_put_is_there_when_it_returns(opened: Opened) -> None:
    await opened.dead_letters.put([a_letter(0, 1)])
    once = len(opened.found())

    await opened.dead_letters.put([])

    assert (once, len(opened.found())) == (1, 1)
