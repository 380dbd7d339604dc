"""A Kinesis that fails on demand: an HTTP proxy before an endpoint that never does, and a ledger of what it did.

    producer ──PutRecords──► FaultProxy ── what is let through ──► endpoint that stores
                              │  ▲   │
                       Plan ──┘  │   └─► Ledger: which records each call applied, and which the producer heard of
                 (rules, seed, token buckets)

    plan      what fails, when and how: rules, in JSON too      buckets   a shard's limits: records/s and bytes/s
    codes     every error that Kinesis may give, by name        ledger    applied, told, and why a record came again
    proxy     the server                                        chaos     a plan for each seed
    traffic   what is sent through it, and what then must hold

In a test, the proxy is a thread of it; by hand, it is a process:

    with FaultProxy(endpoint.url, Plan(seed=3, rules=(Rule(do=Do.DROP, applied=True, rate=0.1),))) as proxy: … proxy.url
    … proxy.ledger

    python -m tests.faults.kinesis_proxy --chaos 3                its own moto behind it; prints its address
    python -m tests.faults.kinesis_proxy --chaos 3 --show         prints that plan, to be changed for --plan
    python -m tests.faults.kinesis_proxy --upstream http://127.0.0.1:4567 --plan plan.json --port 4570
    curl -X PUT --data @plan.json http://127.0.0.1:4570/plan            another plan from now on, and an empty ledger
    curl http://127.0.0.1:4570/ledger                                   what happened since

It changes requests on the way, so the endpoint behind it must not check signatures. Everything listens on 127.0.0.1.
"""

from tests.faults.kinesis_proxy.chaos import chaos
from tests.faults.kinesis_proxy.ledger import Call, Ledger, Repeat, Stored, mark
from tests.faults.kinesis_proxy.plan import Buckets, Do, Plan, Rule
from tests.faults.kinesis_proxy.proxy import FaultProxy

__all__ = ["Buckets", "Call", "Do", "FaultProxy", "Ledger", "Plan", "Repeat", "Rule", "Stored", "chaos", "mark"]
