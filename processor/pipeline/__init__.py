"""The processing shell: batches of profile events in, exports and rows out; it knows ports, not Kafka or RocksDB.

    submit ─► inbox ─► decider ───────┐                                ┌─ 1 PartitionLog.commit: records and rows
                                      ├─► work units ─► committer ─────┼─ 2 ProfileRows.apply: the rows on disk
    background (jobs, F5, idle) ──────┘                                └─ 3 on_committed: the group's offset

One `PartitionPipeline` a partition: the next batch is decided while the last one commits; what has gathered meanwhile
is one transaction. Nothing goes on after a failure: the worker stops, and the next owner starts at the source position.

    ports           PartitionLog, ProfileRows, CatalogView, Fetching: what the shell needs of the world
    pipeline        all partitions of a worker
    partition       one partition: two tasks, back-pressure
    work_unit       what a run of records, or a chunk of background work, leads to
    decider         records to work units, no asyncio; compiled
    outstanding     units that are decided and not committed: how many, how long
    committer       the durability order, alone
    background      what a partition does beside its events, and when
    idle_position   the source position past transaction markers
    profiles        the profiles of one partition, newest rows first
    bad_events      how many bad events in a row a partition passes (I4)
    misplaced       the alarm for events on a partition that is not their key's (I12)
    deadlines       memberships that end by themselves (F5)
    broker_clock    by whose time memberships end
    identity_index  who has which identity, kept beside the profiles (M6)
    trace           the trace headers that an event hands on
    jobs            records without an event: backfill, resend, unmap, catchup
"""
