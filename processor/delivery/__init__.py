"""Delivery to Kinesis: records of `exports` in, PutRecords out, in order per profile and flow, none lost.

                 deliver                              the destination in force          one call, classified
    agent ─────► Sink ─► Backlog ─► a lane per ──────► Sender ─► Outbox ─► a Call ─────► Stream ─► Kinesis
      ▲          │         │        profile and flow     ▲  │                             │
      │          │         ▼                             │  └── Settlement, Health ◄── classify_response
      │          │    DeadLetterQueue ─► DeadLetters     └── Routing ◄── Destinations (the catalog)
      └──────────┴── on_delivered ◄── PartitionProgress: everything fetched below is delivered or a durable dead letter

    sink        the front door: take over, deliver, release
    release     how partitions are given back
    sink_state  running, stopping, ended
    status      how it stands, for people
    ports       what delivery needs from outside
    limits      AWS's bounds and ours
    backoff     how long to wait (pure)
    lanes       order: one record in flight a lane
    parking     flows that wait for their destination beside their partition
    kinesis     boto3, what responses mean, and preflight

Called by the worker's agent, which hands over batches and commits the progress. Everything happens on one event loop,
without locks; only boto3's calls run in threads. A destination that is unavailable, or takes less than comes, holds up
no other: its flows are parked.
"""
