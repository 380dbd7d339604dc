"""The questions of preflight, their answers, and what of an endpoint's words is told."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from processor.delivery.kinesis.faults import Fault

DRY_RUN: Final = "DryRunOperationException"
_NO_CODE: Final = re.compile(r"[^A-Za-z0-9_.:#-]")
_CODE_CHARACTERS: Final = 64


class Question(StrEnum):
    """A question of preflight; see `preflight.py`."""

    ACCESS = "access"
    LIST_STREAMS = "kinesis:ListStreams"
    STREAM = "stream"
    PUT_RECORD = "kinesis:PutRecord"
    PUT_RECORDS = "kinesis:PutRecords"


class Outcome(StrEnum):
    """The outcome of a question; `unknown`: the response says neither."""

    OK = "ok"
    UNKNOWN = "unknown"
    FAILED = "failed"


class Answer(NamedTuple):
    """One question, answered; `remedy` is what to do where it is not ok."""

    question: Question
    outcome: Outcome
    text: str
    remedy: str = ""


class Quote(NamedTuple):
    """A rule for what is told of an endpoint's words: of a fault, and of the names of its streams."""

    fault: Callable[[Fault], Fault]
    names: Callable[[list[str]], list[str]]


QUOTE_ALL: Final = Quote(lambda fault: fault, lambda names: names)
"""The rule for whoever could ask the endpoint himself."""

QUOTE_CODES: Final = Quote(
    lambda fault: fault._replace(code=_NO_CODE.sub("", fault.code)[:_CODE_CHARACTERS], message=""), lambda _: []
)
"""The rule for callers who chose the address that is called from here, and would read what stands there."""
