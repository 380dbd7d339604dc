"""Where profiles live: one RocksDB a partition behind the Faust table `profiles`, and its recovery from the changelog.

    rows        keys and values of the changelog and of RocksDB: profile rows, the watermark; pure
    old_rows    rows that a version before this one wrote, read by today's rules; pure
    identity_rows    those of the index of identities; pure
    partition   one partition on disk: read many, write one atomic batch, close; the only place that knows RocksDB
    damage      faults of RocksDB told apart; a damaged copy marked, and wiped at the next start
    identity    whose copy a folder holds: cluster, app, topic, partition, format
    directory   the data directory: locked for one worker, named once
    restore     the changelog read into the store, in bulk, up to the last stable offset
    faust_store the store as Faust sees it: read only        recovery   takeover in Faust's place of recovery

Only this room imports rocksdict. RocksDB is never ahead of the changelog: what is not committed there is not here
(design 2).
"""
