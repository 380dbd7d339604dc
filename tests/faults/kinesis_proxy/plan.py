"""Plans of faults: the same plan, asked in the same order, gives the same faults.

    {"seed": 7,
     "rules": [{"do": "error", "status": 400, "code": "ThrottlingException", "at": [1, 2]},
               {"do": "drop", "applied": true, "rate": 0.1, "times": 5},
               {"do": "entries", "code": "InternalFailure", "share": 0.2, "every": 3}],
     "buckets": {"shards": 2, "records": 1000, "bytes": 1048576, "burst": 1.0}}

The first rule that matches a call decides; a call that none matches is let through. Calls are PutRecords, counted from
1; all other operations are let through.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import Field

from schemas.model import Model

Entry = dict[str, Any]
"""Of PutRecords' `Records`."""


class Do(StrEnum):
    """The fault that a call meets.

    `applied` of a rule: only after the call was applied, so that the producer is left in doubt.
    """

    ERROR = "error"  # answered with `status`, `code` and `message`
    HTML = "html"  # answered with `status` and a page, as a proxy or a load balancer does
    EMPTY = "empty"  # answered with `status` and no body
    DROP = "drop"  # closed without an answer
    RESET = "reset"  # the same by RST
    SILENCE = "silence"  # nothing for `seconds`, then closed
    LATE = "late"  # nothing for `seconds`, then applied, then closed: a call that its producer has long sent again
    TRUNCATE = "truncate"  # applied, and half of the answer
    ENTRIES = (  # `share` of the entries, or those that `keys` matches, fail with `code`; `applied`: and are stored
        "entries"
    )
    DELAY = "delay"  # applied and answered, but `seconds` later
    SPREAD = "spread"  # applied, each record to any shard: a stream that ignores partition keys


class Rule(Model):
    """One fault. It matches a call by `at` or `every` where they are given, else by dice (`rate`); at most `times`.

    `keys`: a pattern; the rule matches only calls that carry a record with such a partition key (re.search).
    """

    do: Do
    at: tuple[int, ...] = ()
    every: int | None = Field(default=None, ge=1)
    rate: float = Field(default=1.0, ge=0, le=1)
    times: int | None = Field(default=None, ge=0)
    keys: str | None = None
    applied: bool = False
    status: int = Field(default=500, ge=200, le=599)
    code: str = "InternalFailure"
    message: str = "by plan"
    share: float = Field(default=0.1, ge=0, le=1)
    seconds: float = Field(default=1.0, ge=0)

    def carried_by(self, entry: Entry) -> bool:
        """Return whether `keys` matches the entry's partition key; without `keys` it does."""
        return self.keys is None or re.search(self.keys, entry["PartitionKey"]) is not None


class Buckets(Model):
    """A shard's limits (AWS: 1,000 records/s, 1 MiB/s), scaled as wanted.

    `burst`: seconds of them that may come at once.
    """

    shards: int = Field(ge=1)
    records: float = Field(default=1000.0, gt=0)
    bytes: float = Field(default=1048576.0, gt=0)
    burst: float = Field(default=1.0, gt=0)


class Plan(Model):
    """Rules in their order, the seed of all dice, and shards that throttle (None: they do not)."""

    seed: int = 0
    rules: tuple[Rule, ...] = ()
    buckets: Buckets | None = None

    def as_json(self) -> str:
        """As it can be given again; defaults are left out."""
        return self.model_dump_json(indent=1, exclude_defaults=True)


class Course:
    """A plan on its way: which call it is, how often each rule was used, where the dice stand. Not safe for threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.dice = random.Random(plan.seed)
        self.calls = 0
        self._used: Counter[int] = Counter()

    def next(self, entries: Sequence[Entry]) -> Rule | None:
        """The rule for the next call; None: it is let through."""
        self.calls += 1
        for number, rule in enumerate(self.plan.rules):
            if (rule.times is None or self._used[number] < rule.times) and self._matches(rule, entries):
                self._used[number] += 1
                return rule
        return None

    def _matches(self, rule: Rule, entries: Sequence[Entry]) -> bool:
        if rule.keys is not None and not any(map(rule.carried_by, entries)):
            return False
        if rule.at:
            return self.calls in rule.at
        if rule.every is not None:
            return self.calls % rule.every == 0
        return self.dice.random() < rule.rate

    def failing(self, rule: Rule | None, entries: Sequence[Entry]) -> dict[int, str]:
        """Index → code of the entries that fail by an ENTRIES rule."""
        if rule is None or rule.do is not Do.ENTRIES:
            return {}
        if rule.keys is not None:
            return {index: rule.code for index, entry in enumerate(entries) if rule.carried_by(entry)}
        return {index: rule.code for index in range(len(entries)) if self.dice.random() < rule.share}
