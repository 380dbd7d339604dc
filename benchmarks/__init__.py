"""Measurements by hand (`make bench`): not tests, no thresholds. Everything runs on loopback, and ends by itself.

    report       ours beside Kafka Streams, Quix Streams and stock Faust: throughput, CPU, memory, recovery, latency
    whole_job    ours alone: events → state, changelog, exports → PutRecords
    core         the pure core alone
    delivery     delivery alone, beside stock boto3
    limited      a stream of one shard beside one that takes everything

What they stand on:

    events       profile events of production's size               canned      a Kinesis endpoint that answers at once
    stage        broker, events, endpoint; empty outputs a run      contenders  who runs (peers: the others' jobs)
    process      a contender's process, and what it uses                watch       its progress, and the steady window
    exports      did it send what ours sends                            runs        one run, measured and judged
    recovery     rows/s from the changelog                              latency     event → exports at a paced rate
    without_delivery   our worker without its sink
"""
