"""The wire formats, one module a topic: key, value and headers, with one encoder and one decoder.

    exports, dead_letters                what leaves, and what could not
    flows, audiences, connections        the control plane's state | audit_events   who changed what
    job_progress, worker_status          what workers say | delivery_positions   how far parked flows are
    dead_letters_redriven                which dead letters were sent again
    profiles_changelog, identity_index   the changelog and RocksDB, the same in both | old_profile_rows   format 3

`encode_…` returns a ProducerRecord, or the value of a row; `decode_…` raises BadRecord. Nobody else names a header or
parses a key. `tests/schemas/wire/test_golden_bytes.py` holds the bytes of a record of every topic.
"""
