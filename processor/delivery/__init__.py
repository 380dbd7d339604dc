"""Delivery to Kinesis: records of `exports` in, PutRecords out, in order per profile and flow, none lost (contract
section 6).

                 deliver                              the destination in force          one call, judged
    agent ─────► Sink ─► Backlog ─► a lane per ──────► Sender ─► Outbox ─► a Call ─────► Stream ─► Kinesis
      ▲          │         │        profile and flow     ▲  │                             │
      │          │         ▼                             │  └── Health: paused? when? ◄── judge
      │          │    DeadLetterQueue ─► DeadLetters     └── Routing ◄── Destinations (the catalog)
      └──────────┴── on_progress ◄── PartitionProgress: everything fetched below is delivered or a durable dead letter

    sink          the front door                       answers        what an answer means (pure)
    export        a record of `exports`, read          health         well, backing off, paused
    backlog       what is read and not finished        calls          one call; how many at a time
    lanes         order: one in flight a lane          limits         AWS' bounds and ours
    progress      what may be acknowledged             backoff        how long to wait (pure)
    routing       which sender a flow takes now        dead_letters   what cannot be delivered
    sender        one destination                      status         how it stands, for people
    outbox        what leaves in the next call         kinesis, credentials   boto3
    endpoints     which addresses a flow may name, and what is sent there
    forgetting       flows that are gone
    no_destination   flows that the catalog does not name             ports    what delivery needs from outside
    parking, catch_up   flows that wait beside their partition, and come back       stuck   whose destination is
    slow          whose destination takes less than comes
    parked, stays, taken_over, finished   one such flow: what is known of it         parked_rows   written down
    preflight, preflight_words     would a flow be let in, asked without writing
    order_check      does the stream keep the order
    shard_rates      what each shard may be fed, learned from answers

Called by the worker's agent, which hands over batches and commits the progress. Everything happens on one event loop,
without locks; only boto3's calls run in threads. A destination that is unavailable, or takes less than comes, holds up
no other: its flows are parked (`parking.py`).
"""
