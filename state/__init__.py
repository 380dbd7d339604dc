"""Profile state on disk: one RocksDB a partition behind the Faust table `profiles`, and its recovery.

    partition   one partition on disk: read many, write one atomic batch, close; the only module that knows RocksDB
    damage      faults of RocksDB told apart; a damaged copy marked, and wiped at the next start
    identity    whose copy a folder holds: cluster, app, topic, partition, format
    directory   the data directory: locked for one worker, named once
    changelog   a consumer of the changelog without a group
    restore     the changelog read into the store, in bulk, up to the last stable offset
    faust_store the store as Faust sees it: read only        recovery   takeover in Faust's place of recovery

Keys and values of the rows are in schemas/wire/profiles_changelog.py. Only this package imports rocksdict. RocksDB is
never ahead of the changelog: what is not committed there is not here (docs/architecture.md, "The durability order").
"""
