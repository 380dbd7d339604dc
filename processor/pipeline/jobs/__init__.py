"""Jobs of one partition: records without an event, chunk by chunk, in the one order that events have too.

    catalog ─► registry ─► scheduler ─► chunk ─► kind (backfill, unmap, catch_up), then cleanup ─► a work unit
    event ───► effects (pure): markers for the jobs, and records that leave before the event's own

A chunk is decided on the newest state of each profile, and committed in the order of the decisions, so no record of it
follows a newer one. Its progress, records and markers are one transaction: a job goes on where it was, whoever owns
the partition.

    registry        what the catalog orders
    partition_job   one job in one partition: its progress
    effects         what an applied event does to jobs: rows, records, counts
    scheduler       which job works next
    slots           which partition of a worker may work now
    chunk           bounded work, and the Protocol of those who do it
    backfill        the kinds backfill and resend (E1, E4)
    unmap           exits of what is mapped no more (F2)
    catch_up        what a disabled flow missed (F1)
    cleanup         markers that are left
"""
