"""Clients of Kafka, for the commands and for what the worker does beside its stream: records are bytes. No Faust here.

    connection        settings to client options           token_provider   our tokens as aiokafka takes them
    errors            what can be wrong, with the remedy   topics           our topics, as they should be
    admin             create what is missing, compare      safety           configurations that would lose something
    cluster           ids of cluster and topics            limits           what a topic takes
    timestamps        which ones a topic takes             rights           what is not checked without a right
    neighbours        installations with names of ours     ground           what a worker does not start without

    confluent-kafka                                        aiokafka
    reading           a topic to its end                   assigned_reader  named partitions to their ends, and on
    follower          topics read on and on                producers        how one is made; the one that parts share
    log_ends          where logs start and end             batches          record batches, queued and refused
    group_lag         how far the group is behind          dead_letter_batches  such of dead letters, with zstd
    messages          a message as a record, or an error
    writer            acknowledged records
    transactions      a writer that fences all others
    queueing          a record into the client's queue

    profile_partitions   the partition of a profile's events (I12)

Three loops read: `reading`, `follower` and `assigned_reader`. Every reader is `read_committed`; every producer places a
key as PARTITIONER says.
"""
