"""The pure core: same input, same answer, on any machine; no clock, no randomness, no logging, no async, no I/O.

    ConsumerRecord ─► parse ─► Event ─► fold ─► Change ─► concerned (flows) ─► decide (each) ─► ExportRecord
                        │ DeadLetter      │                  │ one reason for the rest  │ SkipReason
                        └─────────────────┴── step ──────────┴──────────────────────────┘   one event, whole

    parse, content_mode    bytes to an event                     fold, changes     an event to a change of its profile
    shape, numbers, wrappers, unusable   what cannot be used     membership, identities, json_values   parts of it
    profile_id, partitioner, misplaced   keys                    deadline, expiry  when memberships end
    causes, consent, decide              what leaves, and why    concerned         which flows are asked
    render, envelope, record_ids, partition_key   how it leaves  record_index      what disabled flows miss
    catalog, flow_index    flows, compiled and found             job_records, job_lifecycle   what jobs send
    step, replay           one event, a log                      counts            what was decided

`step` is what the worker's pipeline and `Replay` call; `Catalog` is the compiled form of the flows and audiences.
A profile's document is never changed in place: an event makes new maps along the paths it touches and shares the rest,
so before and after can be compared and a refused event leaves nothing behind.
"""
