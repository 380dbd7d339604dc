"""Profiles on disk: one RocksDB a partition behind the Faust table `profiles`, recovered from the changelog.

    partition   one partition on disk: read many, write one atomic batch, close; the only place that knows RocksDB
    store_options   RocksDB's memory and files
    damage      faults of RocksDB told apart; a damaged copy marked, and wiped at the next start
    identity    whose copy a folder holds: cluster, app, topic, partition, format
    directory   the data directory: locked for one worker, named once
    changelog   the consumer that reads it        restore    the changelog read into the store, in bulk
    settled_ends   up to where, once no transaction is open
    faust_store the store as Faust sees it        recovery   takeover in Faust's place of recovery

Keys and values of rows are in `schemas.wire.profiles_changelog`. Only this package imports rocksdict, and it imports
nothing but `schemas`. RocksDB is never ahead of the changelog: what is not committed there is not here
(docs/architecture.md, "The durability order").
"""
