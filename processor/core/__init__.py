"""The pure core: same input, same answer, on any machine. No clock, no randomness, no logging, no async, no I/O.

    ConsumerRecord ─► parse ─► Event ─► fold ─► Change ─► concerned (flows) ─► decide (each) ─► ExportRecord
                        │ DeadLetter      │                  │ one reason for the rest  │ SkipReason
                      └─────────────────┴── step ──────────┴──────────────────────────┘   one event, whole

`step` is what the worker's pipeline and `Replay` call; `Catalog` is the compiled form of the flows and audiences.
A profile's document is never changed in place: an event makes new maps along the paths it touches and shares the rest,
so before and after can be compared and a refused event leaves nothing behind.
"""
