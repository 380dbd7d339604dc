"""Measurements by hand (`make bench`): not tests, no thresholds. Everything runs on loopback, and ends by itself.

    report       ours beside Kafka Streams, Quix Streams and stock Faust: throughput, CPU, memory, recovery, latency
    whole_job    ours alone: events → state, changelog, exports → PutRecords
    workers      two workers beside one                     memory       under full load for a while
    core         the pure core alone                        identities   what the index of identities costs
    delivery     delivery alone, beside stock boto3         limited      a stream of one shard beside a fast one
    history      backfill beside live events                control      the control API under load
    hundred_flows  the mix of a hundred flows, for `core`

What they stand on:

    environment  broker, events, endpoint; empty outputs for each run   contenders  who runs, as commands
    peers        the same job in other stream processors                process     a process, and what it uses
    events       profile events of the size that production has         canned      an endpoint that answers at once
    mixes        what `core` decides                                    watch       progress, and the steady window
    exports      did it send what ours sends                            runs        one run, measured and compared
    recovery     rows/s from the changelog                              latency     event → exports at a paced rate
    without_delivery   our worker without its sink                      sink_runs   the sink without a worker

Each measurement says which form of the hot path runs (tests/kit/compiled.py), whatever `make setup` compiled.
"""

import os

os.environ["RUN_COMPILED"] = "0"
