"""The nouns: what the product reads, keeps and writes; they import nothing of ours.

    ConsumerRecord ──► Event ──► Profile ──► ExportRecord
          └────────► DeadLetter        Flow, Audience (configuration)

    kafka           records as read and to write, batches, and the error for unreadable ones
    model, times    how configuration is read, its faults in words; RFC 3339 times
    event, profile, export, dead_letter       what passes through the worker
    audience, flow, destination, connection   configuration | paths, xdm, stream_arn, partitioner   what it names
    job             what leaves without an event | parked_flow   a parked interval | worker_status   a worker's report
    wire/           one module a topic: key, value, headers, encode, decode

Plain tuples and slotted classes for what passes through the hot path; pydantic for configuration, at the edges. No
library but these and orjson.
"""
