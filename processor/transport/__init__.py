"""How records come in: Faust's aiokafka transport, with one Faust event for the records of one partition and fetch.

    thread of the consumer                       main loop
    fetch ─► records, positions ───────────────► Batch(epoch) ─► Faust's channel ─► agent
    commit ◄──────────────────────────────────── mark_done(partition, next offset), twice a second

Stock Faust makes four tasks a record; here that is per batch (design 5.5). What it leans on in Faust is in `consumer`,
named there, with a canary test. Plugged in by the scheme `batches://` (entry point group `faust.transports`).

    consumer    the consumer and its thread: fetches Batches (`schemas.kafka`)
    lasting     tasks that a worker needs for as long as it runs
    lease       until when a partition is ours
    transport   the scheme
"""
