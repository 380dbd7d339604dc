"""The processing shell: batches of profile events in, exports and rows out. Knows ports, not Faust, Kafka or RocksDB.

    submit(batch) ─► inbox ─► decide ─► decided, not yet committed ─► commit ─► progress
                              │ rows read, fold, decide               │ 1 one transaction: exports, dead letters, rows, watermark
                              │ (core.step, one catalog snapshot)     │ 2 one RocksDB batch: rows, watermark, place in the changelog
                              ▼                                       ▼ 3 the group's offset may be committed
                         Profiles: what is committed, and what is decided on top of it

One `PartitionPipeline` a partition: the next batch is decided while the last one commits; what has gathered meanwhile
is one transaction. Nothing goes on after a failure: the worker stops, and the next owner starts at the watermark.

    ports       what the shell needs: ProfileRows, Log, CatalogView     decided    what a batch leads to; pure
    profiles    the profiles of one partition, newest state first       partition  one partition's two loops
    records     decided things as Kafka records                         pipeline   all partitions of a worker
    counts      what was decided, counted                               trace      headers that an event hands on
    refused     an event that no topic takes
    jobs        records without an event, page by page: job_part one job in one partition, job_page a page, turns who
                may have one
    deadlines   memberships that end by themselves: broker_clock by whose time
    identity_index    who has which identity, kept beside the profiles
"""
