"""A plan for each seed: some of everything that can go wrong, nothing of it for ever.

What must come of it, whatever the seed: nothing lost, no lane out of order, every repeat explained by a doubt. With
`unwanted`, records whose partition key has `UNWANTED` in it are rejected for good, alone or in company, and must end as
dead letters.
"""

import random

from tests.faults.kinesis_proxy import codes
from tests.faults.kinesis_proxy.plan import Buckets, Do, Plan, Rule

UNWANTED = "unwanted"
FAULTS_A_SEED = 9


def chaos(seed: int, late_seconds: float = 1.2, shards: int = 2, *, unwanted: bool = True) -> Plan:
    """`late_seconds` is above the producer's read timeout, so that it has sent a late call again by then."""
    dice = random.Random(seed)
    faults = dice.sample(_faults(dice, late_seconds), FAULTS_A_SEED)
    status, code = dice.choice(codes.REJECTED)
    in_company = Rule(do=Do.ERROR, status=status, code=code, keys=UNWANTED)
    alone = Rule(do=Do.ENTRIES, code="InvalidArgumentException", keys=UNWANTED)
    rejecting = (dice.choice((in_company, alone)),)
    throttling = Buckets(
        shards=shards, records=dice.choice((150.0, 300.0)), bytes=dice.choice((15_000.0, 1e6)), burst=0.2
    )
    return Plan(
        seed=seed,
        rules=(*(rejecting if unwanted else ()), *faults),
        buckets=throttling if dice.random() < 0.4 else None,
    )


def _faults(dice: random.Random, late_seconds: float) -> list[Rule]:
    def error(kind: tuple[tuple[int, str], ...], *, applied: bool = False) -> Rule:
        status, code = dice.choice(kind)
        return Rule(do=Do.ERROR, status=status, code=code, applied=applied, rate=rate(), times=times())

    def rate() -> float:
        return dice.uniform(0.02, 0.12)

    def times() -> int:
        return dice.randint(2, 20)

    return [
        *(
            error(kind)
            for kind in (codes.THROTTLED, codes.THROTTLED, codes.AMBIGUOUS, codes.REFUSED, codes.REFUSED, codes.UNKNOWN)
        ),
        *(error(codes.AMBIGUOUS, applied=True) for _ in range(3)),
        *(
            Rule(do=do, applied=applied, rate=rate(), times=times())
            for do in (Do.DROP, Do.RESET)
            for applied in (False, True)
        ),
        *(
            Rule(do=Do.SILENCE, seconds=dice.uniform(0.02, 0.2), applied=applied, rate=rate(), times=4)
            for applied in (False, True)
        ),
        Rule(do=dice.choice((Do.LATE, Do.SILENCE)), seconds=late_seconds, rate=0.05, times=1),
        Rule(do=Do.DELAY, seconds=dice.uniform(0.01, 0.1), rate=rate(), times=times()),
        Rule(do=Do.TRUNCATE, rate=rate(), times=times()),
        *(
            Rule(do=Do.HTML, status=status, applied=applied, rate=rate(), times=times())
            for status, applied in ((200, True), (503, True))
        ),
        *(Rule(do=Do.HTML, status=status, rate=rate(), times=times()) for status in (403, 404, 502)),
        *(Rule(do=Do.EMPTY, status=status, applied=True, rate=rate(), times=times()) for status in (200, 500)),
        *(
            Rule(do=Do.ENTRIES, code=code, share=dice.uniform(0.05, 0.6), applied=applied, rate=dice.uniform(0.1, 0.5))
            for code, applied in (
                ("ProvisionedThroughputExceededException", False),
                ("InternalFailure", False),
                ("InternalFailure", True),
                ("NobodyKnowsThisCode", False),
            )
        ),
    ]
