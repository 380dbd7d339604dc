"""The transport of records: Faust's aiokafka transport, with one Faust event for one partition's share of a fetch.

    thread of the consumer                       main loop
    fetch ─► records, positions ───────────────► Batch(epoch) ─► Faust's channel ─► agent
    commit ◄──────────────────────────────────── mark_done(partition, next offset), twice a second

Stock Faust makes four tasks a record; here that is per batch. Each module names what it leans on in Faust and aiokafka,
and `tests/transport/test_canary.py` holds that. Plugged in by the scheme `batches://` (entry points
`faust.transports`).

    transport       the scheme                            owner         who processes what is fetched
    consumer        batches, epochs, start positions      log_position  where a log does not hold our position
    committing      what is committed, and revocation
    lasting_thread  the life of the consumer's thread     fetching      what that thread asks of the broker
    lasting         tasks whose end ends the worker       lease         until when we own
"""
